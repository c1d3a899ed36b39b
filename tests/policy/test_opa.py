"""The same bundle, run by OPA itself, gives the same decisions; and the gateway's the same as the table of roles."""

import itertools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from intelgraph._core import PolicyDecider, PolicyError, PolicyQuestion
from intelgraph.policy.platform import BUNDLE, across_tenants, granted_by, platform_bundle, roles

RULES = """package tenant.acme

deny contains "elsewhere" if {
	input.permission in {"entity.read", "changes.read"}
	not input.identity.attributes.site == "ewr"
}

deny contains "payroll" if {
	startswith(input.resource.dataset, "pay")
	not "auditor" in input.identity.roles
}

deny contains "machines" if {
	input.identity.machine
	writes
}

writes if endswith(input.permission, ".write")

deny contains "two" if {
	count(input.identity.roles) > 1
	every role in input.identity.roles {
		role != "analyst"
	}
	object.get(input.identity.attributes, "level", "low") == "low"
}

test_elsewhere if "elsewhere" in deny with input as {"permission": "entity.read"}
"""
HYPHENS = RULES.replace("package tenant.acme", 'package tenant["acme-two"]')
FAILING = """package tenant.acme

deny contains "low" if to_number(input.identity.subject) < 3

test_low if "low" in deny with input as {"identity": {"subject": "1"}}
"""
QUERY = (
    "[decision | some question in input.questions;"
    " decision := data.intelgraph.authz.decision with input as question]"
)


def questions() -> Iterator[dict[str, Any]]:
    """Every role by itself, some pairs, none; every permission; tenants with rules and without; and all the rest."""
    role_sets = [(), ("made-up",), ("analyst", "operator"), ("auditor", "security-officer")]
    role_sets += [(role,) for role in sorted(roles())]
    permissions = [*sorted(granted_by()), "made.up", ""]
    attributes: list[dict[str, str]] = [{}, {"site": "ewr", "level": "high"}, {"site": "jfk"}]
    resources: list[dict[str, str]] = [{}, {"tenant": "acme", "dataset": "payroll"}, {"dataset": "flights"}]
    for tenant, permission, held, holds, resource, flags in itertools.product(
        ("acme", "acme-two", "other"),
        permissions,
        role_sets,
        attributes,
        resources,
        ((False, False), (True, True)),
    ):
        yield {
            "permission": permission,
            "identity": {
                "tenant": tenant,
                "subject": "ada",
                "roles": sorted(held),
                "attributes": holds,
                "machine": flags[0],
                "platform": flags[1],
            },
            "resource": resource,
        }


def as_question(question: dict[str, Any]) -> PolicyQuestion:
    identity, resource = question["identity"], question["resource"]
    return PolicyQuestion(
        question["permission"],
        **identity,
        resource_tenant=resource.get("tenant"),
        dataset=resource.get("dataset"),
    )


def evaluated(opa: Path, modules: list[Path], table: list[dict[str, Any]], scratch: Path) -> Any:
    """What one OPA process says of all questions; None if it fails."""
    asked = scratch / "questions.json"
    asked.write_text(json.dumps({"questions": table}))
    data = [argument for path in (BUNDLE, *modules) for argument in ("--data", str(path))]
    done = subprocess.run(
        [opa, "eval", "--strict-builtin-errors", "--format", "raw", "--input", str(asked), *data, QUERY],
        capture_output=True,
        check=False,
    )
    return json.loads(done.stdout) if done.returncode == 0 else None


def test_opa_decides_alike(opa: Path, tmp_path: Path) -> None:
    decider, platform = PolicyDecider(platform_bundle()), platform_bundle()
    modules = []
    for tenant, text in (("acme", RULES), ("acme-two", HYPHENS)):
        decider.install(tenant, platform.with_tenant_rules(tenant, [("own.rego", text)]))
        modules.append(tmp_path / f"{tenant}.rego")
        modules[-1].write_text(text)
    table = list(questions())
    ours = [decider.decide(as_question(question)) for question in table]
    theirs = evaluated(opa, modules, table, tmp_path)
    assert len(theirs) == len(table)
    differing = [
        (question, mine.reason, other)
        for question, mine, other in zip(table, ours, theirs, strict=True)
        if {"allow": mine.allow, "reason": mine.reason} != other
    ]
    assert differing == []
    assert {mine.reason for mine in ours} == {
        "",
        "PERMISSION_DENIED",
        "PLATFORM_TENANT_ONLY",
        "TENANT_MISMATCH",
        "TENANT_RULE",
    }


def test_what_fails_here_fails_there(opa: Path, tmp_path: Path) -> None:
    decider = PolicyDecider(platform_bundle())
    decider.install("acme", platform_bundle().with_tenant_rules("acme", [("own.rego", FAILING)]))
    module = tmp_path / "own.rego"
    module.write_text(FAILING)
    (reading,) = [
        question
        for question in questions()
        if question["permission"] == "entity.read"
        and question["identity"]["tenant"] == "acme"
        and question["identity"]["roles"] == ["analyst"]
        and question["identity"]["attributes"] == {}
        and question["resource"] == {}
        and not question["identity"]["machine"]
    ]
    assert decider.decide(as_question(reading)).reason == "FAILED"
    assert evaluated(opa, [module], [reading], tmp_path) is None
    mending = reading | {"permission": "policy.write"}
    mending["identity"] = reading["identity"] | {"roles": ["security-officer"]}
    assert decider.decide(as_question(mending)).allow
    assert evaluated(opa, [module], [mending], tmp_path) == [{"allow": True, "reason": ""}]


RECURSIVE = (
    "f(x) := f(x)",
    "f(x) if g(x)\ng(x) if f(x)",
    "f(x) := data.tenant.acme.f(x)",
    "f(x) := 1 if x == 0 else := f(x - 1)",
    "f(x) := [y | y := f(x)]",
    "f(x) if every y in [x] { f(y) }",
    "f(x) if not f(x)",
    "f(x) if input.permission with input as f(x)",
    "a if b\nb if a",
    "a := b\nb := f(1)\nf(_) := a",
    "a contains x if some x in a",
    "a.b := a.c\na.c := a.b",
    "default a := [x | x := a]",
    'deny contains "x" if count(deny) == 0',
    'deny contains "x" if data.intelgraph.authz.decision.allow',
)
NOT_RECURSIVE = (
    "site := site if site := input.identity.subject",
    "f(f) := f",
    "a if every a in [1] { a == 1 }",
    "a.b := 1\na.c := a.b",
    "test_allow if not data.intelgraph.authz.decision.allow with input as {}",
)


@pytest.mark.parametrize(
    ("text", "recursive"), [*((text, True) for text in RECURSIVE), *((text, False) for text in NOT_RECURSIVE)]
)
def test_opa_refuses_the_same_recursion(opa: Path, tmp_path: Path, text: str, recursive: bool) -> None:
    rules = f'package tenant.acme\n\n{text}\n\ndeny contains "y" if true\n\ntest_it if true\n'
    module = tmp_path / "own.rego"
    module.write_text(rules)
    checked = subprocess.run([opa, "check", str(BUNDLE), str(module)], capture_output=True, check=False)
    assert (b"rego_recursion_error" in checked.stderr) == recursive, checked.stderr
    files = [("own.rego", rules)]
    if not recursive:
        platform_bundle().with_tenant_rules("acme", files)
        return
    with pytest.raises(PolicyError) as refusal:
        platform_bundle().with_tenant_rules("acme", files)
    (file, _, rule, problem, _) = refusal.value.args[2][0]
    assert (file, rule) == ("own.rego", "POLICY_COMPILE")
    assert "leads back to itself" in problem


def test_the_bundle_passes_its_tests_and_the_checks_of_opa(opa: Path) -> None:
    for verb in (["test"], ["check", "--strict"], ["fmt", "--fail", "--list"]):
        done = subprocess.run([opa, *verb, str(BUNDLE)], capture_output=True, check=False)
        assert done.returncode == 0, (verb, done.stdout, done.stderr)


@pytest.mark.parametrize("platform", [False, True])
def test_without_rules_a_role_alone_decides(platform: bool) -> None:
    decider = PolicyDecider(platform_bundle())
    for permission, granting in granted_by().items():
        for role in roles():
            question = PolicyQuestion(
                permission,
                tenant="acme",
                subject="ada",
                roles=[role],
                attributes={},
                machine=False,
                platform=platform,
            )
            reason = "" if role in granting else "PERMISSION_DENIED"
            if not reason and permission in across_tenants() and not platform:
                reason = "PLATFORM_TENANT_ONLY"
            assert decider.decide(question).reason == reason, (permission, role)
