"""One permission decision, asked from Python: remembered, worked out, and by OPA beside it."""

import contextlib
import itertools
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from benches.harness.batch_arm import BatchArm
from benches.harness.environment import observe
from benches.harness.estimate import median_of, ratio_of
from benches.harness.interleave import interleave
from benches.harness.report import Figure, Report, Target
from benches.harness.sample import Sample
from intelgraph._core import PolicyBundle, PolicyDecider, PolicyQuestion
from intelgraph.policy.platform import BUNDLE, platform_bundle
from tests.parts.opa import VERSION, find_opa

_DISTRIBUTIONS: Final = ("intelgraph-gateway",)
_BATCH: Final = 64
_ROLES: Final = frozenset({"analyst", "auditor"})
_RULES: Final = """package tenant.bench

deny contains "elsewhere" if {
	input.permission == "entity.read"
	input.resource.dataset == "payroll"
	not input.identity.attributes.site == "ewr"
}

test_elsewhere if count(deny) == 0 with input as {"permission": "contract.read"}
"""
_MISSES: Final = """package tenant.bench

deny contains "nobody" if input.identity.subject == "nobody"

test_nobody if "nobody" in deny with input as {"identity": {"subject": "nobody"}}
"""


def run(*, quick: bool) -> Report:
    """Measures all arms, 5 rounds of 0.5 s each if `quick`, else 9 of 2 s."""
    rounds, seconds = (5, 0.5) if quick else (9, 2.0)
    environment = observe(_DISTRIBUTIONS)
    environment.versions["regorus"] = "0.14.0"
    platform = platform_bundle()
    with_rules, by_subject = (_with(platform, text) for text in (_RULES, _MISSES))
    with contextlib.ExitStack() as parts:
        arms = [
            BatchArm("hit", partial(_hits, _decider(platform)), _BATCH, seconds),
            BatchArm("hit_with_rules", partial(_hits, _decider(with_rules)), _BATCH, seconds),
            BatchArm("miss_with_rules", partial(_misses, _decider(by_subject)), _BATCH, seconds),
            BatchArm("uncached", partial(_uncached, platform), _BATCH, seconds),
        ]
        opa = find_opa()
        if opa is not None:
            environment.versions["opa"] = VERSION
            server = parts.enter_context(_serving(opa))
            arms.append(BatchArm("opa_http", partial(_asked_of_opa, server), _BATCH, seconds))
        series = interleave(arms, rounds)
    hit, rules, miss, uncached, *http = series
    figures = (
        Figure("decision_hit_us", median_of(hit, _wall_us), Target(20, at_most=True)),
        Figure("decision_hit_with_rules_us", median_of(rules, _wall_us), Target(20, at_most=True)),
        Figure("decision_miss_us", median_of(miss, _wall_us), Target(1000, at_most=True)),
        Figure("regorus_uncached_us", median_of(uncached, _wall_us)),
        Figure("hit_vs_regorus_uncached", ratio_of(hit, uncached, _per_second)),
        *(Figure("opa_http_us", median_of(each, _wall_us)) for each in http),
        *(Figure("hit_vs_opa_http", ratio_of(hit, each, _per_second)) for each in http),
        *(Figure("miss_vs_opa_http", ratio_of(miss, each, _per_second)) for each in http),
    )
    return Report(
        "policy", "Permission decisions, asked from Python one by one", environment, series, figures
    )


def _wall_us(sample: Sample) -> float:
    return sample.wall_s / sample.records * 1e6


def _per_second(sample: Sample) -> float:
    return sample.per_second


def _with(platform: PolicyBundle, text: str) -> PolicyBundle:
    return platform.with_tenant_rules("bench", [("bench.rego", text)])


def _decider(bundle: PolicyBundle) -> PolicyDecider:
    decider = PolicyDecider(platform_bundle())
    decider.install("bench", bundle)
    if not decider.decide(_question("ada")).allow or decider.decide(_question("ada", "contract.write")).allow:
        raise RuntimeError("the decisions are wrong")
    return decider


def _question(subject: str, permission: str = "entity.read") -> PolicyQuestion:
    """As the gateway makes it, of an identity, for each decision."""
    return PolicyQuestion(
        permission,
        tenant="bench",
        subject=subject,
        roles=_ROLES,
        attributes={"site": "ewr", "level": "high"},
        machine=False,
        platform=False,
    )


def _hits(decider: PolicyDecider) -> None:
    for _ in range(_BATCH):
        decision = decider.recall(_question("ada"))
        if decision is None or not decision.allow:
            raise RuntimeError("the decision is not remembered")


_subjects: Final = itertools.count()


def _misses(decider: PolicyDecider) -> None:
    """Every caller is new, and the rules read who calls: looked for in vain, worked out, and remembered."""
    for _ in range(_BATCH):
        question = _question(f"caller-{next(_subjects)}")
        if decider.recall(question) is not None or not decider.decide(question).allow:
            raise RuntimeError("the decision was remembered")


def _uncached(platform: PolicyBundle) -> None:
    """The interpreter, with nothing remembered: a decider of its own for each decision."""
    for _ in range(_BATCH):
        if not PolicyDecider(platform).decide(_question("ada")).allow:
            raise RuntimeError("the decision is wrong")


@contextlib.contextmanager
def _serving(opa: Path) -> Iterator[HTTPConnection]:
    """OPA's server on loopback with the same files, and a connection that is kept open."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as scratch:
        rules = Path(scratch, "bench.rego")
        rules.write_text(_MISSES, encoding="utf-8")
        serve = [opa, "run", "--server", "--addr", f"127.0.0.1:{port}", "--log-level", "error"]
        process = subprocess.Popen([*serve, "--skip-version-check", BUNDLE, rules], stderr=subprocess.DEVNULL)
        try:
            yield _connected(port)
        finally:
            process.terminate()
            process.wait()


def _connected(port: int) -> HTTPConnection:
    deadline = time.monotonic() + 30
    while True:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("GET", "/health")
            connection.getresponse().read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return connection


def _asked_of_opa(server: HTTPConnection) -> None:
    for _ in range(_BATCH):
        question = {
            "permission": "entity.read",
            "identity": {
                "tenant": "bench",
                "subject": f"caller-{next(_subjects)}",
                "roles": sorted(_ROLES),
                "attributes": {"site": "ewr", "level": "high"},
                "machine": False,
                "platform": False,
            },
            "resource": {},
        }
        server.request("POST", "/v1/data/intelgraph/authz/decision", json.dumps({"input": question}))
        if not json.loads(server.getresponse().read())["result"]["allow"]:
            raise RuntimeError("OPA's decision is wrong")
