"""A tenant's own rules: compiled, tested, or refused with file, line and fix."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import orjson

from intelgraph._core import PolicyBundle, PolicyDecider, PolicyError, PolicyQuestion
from intelgraph.errors import FieldViolation, InvalidArgument, ResourceExhausted
from intelgraph.policy.expendable import ExpendableThreads, TooManyStuck
from intelgraph.policy.platform import granted_by

CHECK_SECONDS: Final = 10.0
"""Time that compiling and all tests may take."""
MOST_ORDINARY_SECONDS: Final = 0.025
"""Time that a decision on an ordinary question may take when rules are put: a quarter of what every decision has."""
_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Module:
    """A file of rules, or of tests if its name ends with `_test.rego`."""

    name: str
    text: str


def stored(modules: Sequence[Module]) -> bytes:
    """As the database keeps them; the same modules give the same bytes."""
    return orjson.dumps([asdict(module) for module in sorted(modules, key=lambda each: each.name)])


def from_stored(content: bytes) -> tuple[Module, ...]:
    """Reverses `stored`."""
    return tuple(Module(**each) for each in orjson.loads(content))


def revision_of(modules: Sequence[Module]) -> bytes:
    """SHA-256 of `stored`."""
    return hashlib.sha256(stored(modules)).digest()


def compile_rules(platform: PolicyBundle, tenant: str, modules: Sequence[Module]) -> PolicyBundle:
    """The platform's bundle with the rules beside it. May take seconds.

    Raises InvalidArgument POLICY_INVALID, with a violation for each fault.
    """
    try:
        return platform.with_tenant_rules(tenant, [(module.name, module.text) for module in modules])
    except PolicyError as error:
        raise refused(error) from None


async def check_rules(
    platform: PolicyBundle, tenant: str, modules: Sequence[Module], threads: ExpendableThreads
) -> PolicyBundle:
    """As `compile_rules`, from a thread that is left to itself if it takes too long.

    Raises InvalidArgument POLICY_INVALID, and ResourceExhausted POLICY_CHECKS_EXHAUSTED.
    """
    return await _from_thread(tenant, modules, lambda: compile_rules(platform, tenant, modules), threads)


async def check_new_rules(
    platform: PolicyBundle, tenant: str, modules: Sequence[Module], threads: ExpendableThreads
) -> PolicyBundle:
    """As `check_rules`, for rules that were not in force yet: it also takes their time.

    Raises InvalidArgument POLICY_INVALID, and ResourceExhausted POLICY_CHECKS_EXHAUSTED.
    """
    return await _from_thread(tenant, modules, lambda: compile_new_rules(platform, tenant, modules), threads)


def compile_new_rules(platform: PolicyBundle, tenant: str, modules: Sequence[Module]) -> PolicyBundle:
    """As `compile_rules`, and takes the time of decisions on ordinary questions.

    Raises InvalidArgument POLICY_INVALID, with a violation for each fault.
    """
    bundle = compile_rules(platform, tenant, modules)
    for question in _ordinary_questions(tenant):
        # Something else may have had the core, so only what is slow each time is.
        if all(_seconds(bundle, question) > MOST_ORDINARY_SECONDS for _ in range(_TRIES)):
            raise InvalidArgument(
                "POLICY_INVALID",
                f"a decision on an ordinary question takes more than {MOST_ORDINARY_SECONDS * 1000:.0f} ms",
                fix="let no rule go through every combination of several lists",
            )
    return bundle


def _seconds(bundle: PolicyBundle, question: PolicyQuestion) -> float:
    decider = PolicyDecider(bundle)
    began = time.perf_counter()
    decider.decide(question)
    return time.perf_counter() - began


def _ordinary_questions(tenant: str) -> Iterator[PolicyQuestion]:
    """For each permission a person who holds it: before the request is read, and with a dataset."""
    for permission, granting in sorted(granted_by().items()):
        for dataset in (None, "flights"):
            yield PolicyQuestion(
                permission,
                tenant=tenant,
                subject="ada",
                roles=sorted(granting),
                attributes={},
                machine=False,
                platform=False,
                dataset=dataset,
            )


async def _from_thread(
    tenant: str, modules: Sequence[Module], call: Callable[[], PolicyBundle], threads: ExpendableThreads
) -> PolicyBundle:
    try:
        return await threads.run(tenant, revision_of(modules).hex(), call, CHECK_SECONDS)
    except TimeoutError:
        raise InvalidArgument(
            "POLICY_INVALID",
            f"the rules and their tests take more than {CHECK_SECONDS:.0f} s",
            fix="let no rule compare or collect more than it has to",
        ) from None
    except TooManyStuck:
        raise ResourceExhausted(
            "POLICY_CHECKS_EXHAUSTED",
            "these rules, or too many others that were put before, are still being evaluated and cannot be stopped",
            fix="put others later, or ask the operator to start the gateway again; rules can always be removed",
        ) from None


def refused(error: PolicyError) -> InvalidArgument:
    """What is wrong with modules, by file and line."""
    return InvalidArgument(
        "POLICY_INVALID",
        "the rules were refused",
        fix="mend what the violations name; `intelgraph policy check` checks without a gateway",
        violations=tuple(
            FieldViolation(f"{file}:{line}" if line else file, f"{rule}: {problem}; {fix}")
            for file, line, rule, problem, fix in error.args[2]
        ),
    )
