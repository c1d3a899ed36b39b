"""A tenant puts rules, everybody decides by them, and who may is told why."""

import asyncio
import time
from typing import Any

import asyncpg
import pytest

from intelgraph.errors import FailedPrecondition, IntelGraphError, InvalidArgument, NotFound, PermissionDenied
from intelgraph.gateway.identity import Identity, current_identity
from intelgraph.gateway.permissions import Permissions, Resource
from intelgraph.gateway.v1 import policy_pb2
from intelgraph.policy import decisions as decisions_module
from intelgraph.policy.rules import Module, stored
from intelgraph.provenance.ledger import Ledger
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import Tenant, TenantRegistry
from tests.parts.ledger import TESTER
from tests.parts.outbox import waiting
from tests.policy.conftest import Gateway, caller, deciding

CONTEXT: Any = None  # the handlers do not look at it

RULES = """
package tenant.acme

deny contains "payroll is for ewr" if {
    input.resource.dataset == "payroll"
    not input.identity.attributes.site == "ewr"
}

test_elsewhere if "payroll is for ewr" in deny with input as {"resource": {"dataset": "payroll"}}
test_other_datasets if count(deny) == 0 with input as {"resource": {"dataset": "flights"}}
"""
SHUT = """
package tenant.acme

deny contains "shut" if true

test_shut if count(deny) == 1
"""
PAYROLL = Resource(dataset="payroll")


async def put(gateway: Gateway, tenant: Tenant, *texts: str, **more: Any) -> policy_pb2.PutPolicyResponse:
    current_identity.set(caller(tenant, "security-officer"))
    modules = [policy_pb2.PolicyModule(name=f"{at}.rego", text=text) for at, text in enumerate(texts)]
    return await gateway.service.PutPolicy(policy_pb2.PutPolicyRequest(modules=modules, **more), CONTEXT)


async def allowed(
    permissions: Permissions, who: Identity, permission: str = "entity.read", what: Resource = PAYROLL
) -> bool:
    try:
        await permissions.require(who, permission, what)
    except PermissionDenied as denied:
        said = denied
    else:
        return True
    assert (said.reason, said.metadata) == ("PERMISSION_DENIED", {"permission": permission})
    assert said.message == f"ada does not hold the permission {permission}"
    return False


async def test_rules_deny_by_attribute_and_dataset(gateway: Gateway, acme: Tenant) -> None:
    analyst = caller(acme, "analyst")
    assert await allowed(gateway.permissions, analyst)
    answer = await put(gateway, acme, RULES)
    assert (answer.created, answer.revision.version, answer.revision.in_force) == (True, 1, True)
    assert list(answer.tests) == ["data.tenant.acme.test_elsewhere", "data.tenant.acme.test_other_datasets"]
    assert not await allowed(gateway.permissions, analyst)
    assert not await allowed(gateway.permissions, caller(acme, "analyst", site="jfk"))
    assert await allowed(gateway.permissions, caller(acme, "analyst", site="ewr"))
    assert await allowed(gateway.permissions, analyst, what=Resource(dataset="flights"))
    assert not await allowed(gateway.permissions, caller(acme, "connector", site="ewr")), "no role grants it"


async def test_other_gateways_decide_by_them_within_two_seconds(
    gateway: Gateway, elsewhere: Gateway, acme: Tenant
) -> None:
    assert await allowed(elsewhere.permissions, caller(acme, "analyst"))
    await put(gateway, acme, RULES)
    began = time.monotonic()
    while await allowed(elsewhere.permissions, caller(acme, "analyst")):
        assert time.monotonic() - began < 2
        await asyncio.sleep(0.01)


async def test_a_gateway_that_starts_decides_by_them(
    gateway: Gateway, database: Database, ledger: Ledger, acme: Tenant
) -> None:
    await put(gateway, acme, SHUT)
    async with deciding(database, ledger) as later:
        assert not await allowed(later.permissions, caller(acme, "analyst"))


async def test_they_bind_their_own_tenant_only(
    gateway: Gateway, database: Database, ledger: Ledger, acme: Tenant
) -> None:
    other = await TenantRegistry(database, ledger).create("other", by=TESTER)
    await put(gateway, acme, SHUT)
    assert not await allowed(gateway.permissions, caller(acme, "analyst"))
    assert await allowed(gateway.permissions, caller(other, "analyst"))
    current_identity.set(caller(other, "security-officer"))
    with pytest.raises(NotFound, match="POLICY_NOT_FOUND"):
        await gateway.service.GetPolicy(policy_pb2.GetPolicyRequest(), CONTEXT)
    with pytest.raises(InvalidArgument, match="POLICY_PACKAGE"):
        await put(gateway, other, SHUT)


async def test_who_locked_everybody_out_can_mend_it(gateway: Gateway, acme: Tenant) -> None:
    await put(gateway, acme, SHUT)
    officer = caller(acme, "security-officer")
    assert not await allowed(gateway.permissions, officer, "quarantine.read")
    assert await allowed(gateway.permissions, officer, "policy.write", Resource())
    answer = await put(gateway, acme)
    assert (answer.revision.version, list(answer.revision.files)) == (2, [])
    assert await allowed(gateway.permissions, officer, "quarantine.read")


async def test_versions_are_kept_and_listed(gateway: Gateway, acme: Tenant) -> None:
    first = await put(gateway, acme, RULES)
    again = await put(gateway, acme, RULES)
    assert (again.created, again.revision) == (False, first.revision)
    await put(gateway, acme, SHUT, replaces=1)
    with pytest.raises(FailedPrecondition, match="POLICY_REPLACED"):
        await put(gateway, acme, RULES, replaces=1)
    shown = await gateway.service.GetPolicy(policy_pb2.GetPolicyRequest(version=1), CONTEXT)
    assert [module.text for module in shown.modules] == [RULES]
    assert not shown.revision.in_force
    request = policy_pb2.ListPolicyRevisionsRequest(page_size=1)
    page = await gateway.service.ListPolicyRevisions(request, CONTEXT)
    request.page_token = page.next_page_token
    rest = await gateway.service.ListPolicyRevisions(request, CONTEXT)
    assert [each.version for each in (*page.revisions, *rest.revisions)] == [2, 1]
    assert not rest.next_page_token
    with pytest.raises(NotFound, match="POLICY_NOT_FOUND"):
        await gateway.service.GetPolicy(policy_pb2.GetPolicyRequest(version=3), CONTEXT)


async def test_of_two_who_put_at_once_one_is_told(gateway: Gateway, elsewhere: Gateway, acme: Tenant) -> None:
    outcomes = await asyncio.gather(
        put(gateway, acme, RULES, replaces=0),
        put(elsewhere, acme, SHUT, replaces=0),
        return_exceptions=True,
    )
    assert {type(outcome) for outcome in outcomes} == {policy_pb2.PutPolicyResponse, FailedPrecondition}


async def test_rules_that_do_not_fit_are_refused_with_file_and_line(
    gateway: Gateway, acme: Tenant, database: Database
) -> None:
    wrong = RULES.replace("count(deny) == 0", "count(deny) == 7")
    with pytest.raises(InvalidArgument) as refused:
        await put(gateway, acme, wrong)
    (violation,) = refused.value.violations
    assert (refused.value.reason, violation.pointer) == ("POLICY_INVALID", "0.rego:10")
    assert violation.description.startswith("POLICY_TEST_FAILED: test_other_datasets")
    assert await allowed(gateway.permissions, caller(acme, "analyst"))
    answer = await put(gateway, acme, RULES, dry_run=True)
    assert (answer.created, answer.HasField("revision"), len(answer.tests)) == (False, False, 2)
    async with database.read(acme.tenant_id) as connection:
        assert await connection.fetchval("SELECT count(*) FROM tenant_policy") == 0


async def test_a_change_is_an_entry_of_the_ledger(gateway: Gateway, acme: Tenant, database: Database) -> None:
    await put(gateway, acme, RULES)
    async with database.write() as connection:
        *_, last = await waiting(connection)
    assert (last.kind, last.tenant_id) == (120, acme.tenant_id)


async def test_who_may_ask_is_told_which_rule_denies(gateway: Gateway, acme: Tenant) -> None:
    await put(gateway, acme, RULES)
    request = policy_pb2.ExplainDecisionRequest(
        permission="entity.read", roles=["analyst"], decided_dataset="payroll"
    )
    answer = await gateway.service.ExplainDecision(request, CONTEXT)
    assert (answer.allow, answer.reason) == (False, "TENANT_RULE")
    assert list(answer.granted_by) == ["analyst", "auditor", "service"]
    (denial,) = answer.denials
    assert (denial.text, list(denial.places)) == ("payroll is for ewr", ["0.rego:4"])
    request.attributes["site"] = "ewr"
    answer = await gateway.service.ExplainDecision(request, CONTEXT)
    assert (answer.allow, answer.reason, list(answer.denials), len(answer.revision)) == (True, "", [], 64)


async def test_rules_that_fail_deny_and_are_explained(gateway: Gateway, acme: Tenant) -> None:
    text = """package tenant.acme
deny contains "low" if to_number(input.identity.subject) < 3
test_low if "low" in deny with input as {"identity": {"subject": "1"}}
"""
    await put(gateway, acme, text)
    assert not await allowed(gateway.permissions, caller(acme, "analyst"))
    request = policy_pb2.ExplainDecisionRequest(permission="entity.read", roles=["analyst"], subject="ada")
    answer = await gateway.service.ExplainDecision(request, CONTEXT)
    assert (answer.allow, answer.reason, answer.fault) == (False, "FAILED", "error at 0.rego:2")
    assert await allowed(gateway.permissions, caller(acme, "security-officer"), "policy.write", Resource())


async def test_rules_that_a_gateway_cannot_use_deny(
    gateway: Gateway, database: Database, acme: Tenant
) -> None:
    async with database.write() as connection:
        await connection.execute(
            "INSERT INTO tenant_policy (tenant_id, version, modules, revision, state, created_by)"
            " VALUES ($1, 1, $2, sha256($2), 'active', 'a later gateway')",
            acme.tenant_id,
            b'[{"name":"a.rego","text":"package of.the.future"}]',
        )
    began = time.monotonic()
    while await allowed(gateway.permissions, caller(acme, "analyst")):
        assert time.monotonic() - began < 2
        await asyncio.sleep(0.01)
    assert await allowed(gateway.permissions, caller(acme, "security-officer"), "policy.write", Resource())


DOUBLING = "\n".join(
    f"    {name}{at} := [{name}{at - 1}, {name}{at - 1}]" for at in range(1, 40) for name in "xy"
)
ENDLESS = f"""package tenant.acme
deny contains "never" if {{
    input.identity.attributes.site == "ewr"
    x0 := 1
    y0 := 1
{DOUBLING}
    x39 == y39
}}
test_others if count(deny) == 0 with input as {{"permission": "contract.read"}}
"""


async def test_a_step_that_does_not_end_holds_up_nobody(
    gateway: Gateway, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions_module, "MOST_SECONDS", 0.3)
    await put(gateway, acme, ENDLESS)
    asking = asyncio.create_task(allowed(gateway.permissions, caller(acme, "analyst", site="ewr")))
    ticks = 0
    while not asking.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert not asking.result()
    assert ticks > 5, "the event loop went on"
    began = time.monotonic()
    assert not await allowed(gateway.permissions, caller(acme, "analyst"), "contract.read")
    assert time.monotonic() - began < 0.2, "its rules are not evaluated any more"
    current_identity.set(caller(acme, "security-officer"))
    request = policy_pb2.ExplainDecisionRequest(permission="entity.read", roles=["analyst"])
    answer = await gateway.service.ExplainDecision(request, CONTEXT)
    assert [denial.text for denial in answer.denials] == [
        "the tenant's rules take too long, and count as closed for a while"
    ]
    await put(gateway, acme, RULES)
    assert await allowed(gateway.permissions, caller(acme, "analyst", site="ewr"))


SLOW = """package tenant.acme
numbers := [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28]
slow if {
    some a in numbers
    some b in numbers
    some c in numbers
    some d in numbers
    some e in numbers
    a + b + c + d + e == 1000
}
"""


async def test_rules_that_are_slow_on_ordinary_questions_are_refused(gateway: Gateway, acme: Tenant) -> None:
    text = SLOW + 'deny contains "x" if slow\ntest_it if true\n'
    with pytest.raises(InvalidArgument, match="an ordinary question takes more than 25 ms"):
        await put(gateway, acme, text)
    assert await allowed(gateway.permissions, caller(acme, "analyst"))


async def test_checking_slow_rules_holds_up_no_other_tenant(
    gateway: Gateway, database: Database, ledger: Ledger, acme: Tenant
) -> None:
    other = await TenantRegistry(database, ledger).create("other", by=TESTER)
    tests = "".join(f"test_{at} if slow with input as {at}\n" for at in range(3))
    text = SLOW.replace("some a in", "some z in numbers\n    some a in")
    checking = asyncio.create_task(put(gateway, acme, text + 'deny contains "x" if false\n' + tests))
    await asyncio.sleep(0.1)
    await put(gateway, other, SHUT.replace("tenant.acme", "tenant.other"))
    assert not checking.done()
    with pytest.raises(InvalidArgument, match="takes too long"):
        await checking


async def test_recursion_is_refused_and_where_it_is_stored_already_denies(
    gateway: Gateway, database: Database, acme: Tenant
) -> None:
    text = 'package tenant.acme\nf(x) := f(x)\ndeny contains "x" if { f(1) }\ntest_a if true\n'
    with pytest.raises(InvalidArgument, match="f leads back to itself: f -> f"):
        await put(gateway, acme, text, dry_run=True)
    async with database.write() as connection:
        await connection.execute(
            "INSERT INTO tenant_policy (tenant_id, version, modules, revision, state, created_by)"
            " VALUES ($1, 1, $2, sha256($2), 'active', 'an earlier gateway')",
            acme.tenant_id,
            stored([Module("a.rego", text)]),
        )
    began = time.monotonic()
    while await allowed(gateway.permissions, caller(acme, "analyst")):
        assert time.monotonic() - began < 2
        await asyncio.sleep(0.01)
    assert await allowed(gateway.permissions, caller(acme, "security-officer"), "policy.write", Resource())


async def test_what_cannot_be_read_again_does_not_decide_for_longer_than_two_seconds(
    gateway: Gateway, acme: Tenant, storage_settings: Any
) -> None:
    owner = await asyncpg.connect(storage_settings.owner_dsn.get_secret_value())
    await owner.execute("ALTER TABLE tenant_policy RENAME TO gone")
    began = time.monotonic()
    refusal = None
    while refusal is None:
        assert time.monotonic() - began < 8
        await asyncio.sleep(0.05)
        try:
            await gateway.permissions.require(caller(acme, "analyst"), "entity.read")
        except IntelGraphError as error:
            refusal = error.reason
    assert refusal == "POLICY_UNAVAILABLE"
    await owner.execute("ALTER TABLE gone RENAME TO tenant_policy")
    await owner.close()
    assert await allowed(gateway.permissions, caller(acme, "analyst"))
