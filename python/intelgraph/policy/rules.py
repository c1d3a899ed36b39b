"""A tenant's own rules: compiled, tested, or refused with file, line and fix."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import orjson

from intelgraph._core import PolicyBundle, PolicyError
from intelgraph.errors import FieldViolation, InvalidArgument, ResourceExhausted
from intelgraph.policy.expendable import ExpendableThreads, TooManyStuck

CHECK_SECONDS: Final = 10.0
"""Time that compiling and all tests may take."""


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
    try:
        return await threads.run(lambda: compile_rules(platform, tenant, modules), CHECK_SECONDS)
    except TimeoutError:
        raise InvalidArgument(
            "POLICY_INVALID",
            f"the rules and their tests take more than {CHECK_SECONDS:.0f} s",
            fix="let no rule compare or collect more than it has to",
        ) from None
    except TooManyStuck:
        raise ResourceExhausted(
            "POLICY_CHECKS_EXHAUSTED",
            "too many rules were put that cannot be stopped, and the gateway evaluates no more of them",
            fix="ask the operator to start the gateway again; its log names the tenants",
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
