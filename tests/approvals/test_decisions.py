"""Who decides, how often, and what ends a request; each transition is an entry of the ledger."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from intelgraph.approvals import kinds
from intelgraph.approvals.approval import Approval, ApprovalState
from intelgraph.approvals.kinds import Scope
from intelgraph.approvals.request import Wanted
from intelgraph.errors import IntelGraphError, InvalidArgument, NotFound, PermissionDenied
from intelgraph.storage.database import Database
from tests.approvals.world import ALICE, BOB, CAROL, DAN, OFFICER, World, person


async def refusal(act: Awaitable[Any]) -> str:
    with pytest.raises(IntelGraphError) as caught:
        await act
    assert caught.value.fix
    return caught.value.reason


async def test_a_quorum_of_two_takes_two_persons(world: World) -> None:
    asked = await world.requested(quorum=2)
    assert (asked.state, asked.missing, asked.requested_by) == (ApprovalState.REQUESTED, 2, "alice")
    once = await world.approve(asked, BOB)
    assert (once.state, once.missing) == (ApprovalState.REQUESTED, 1)
    twice = await world.approve(asked, CAROL)
    assert (twice.state, twice.missing, twice.approvers) == (
        ApprovalState.APPROVED,
        0,
        frozenset({"bob", "carol"}),
    )
    assert await world.approvals.get(world.tenant, asked.approval_id) == twice


async def test_the_requester_never_counts(world: World) -> None:
    asked = await world.requested()
    for same in (ALICE, person("alice", "auditor", OFFICER, method="mtls")):
        assert await refusal(world.approve(asked, same)) == "APPROVAL_OWN_REQUEST"
        denial = world.approvals.deny(world.tenant, asked.approval_id, same, reason="no")
        assert await refusal(denial) == "APPROVAL_OWN_REQUEST"
    assert await world.state(asked) is ApprovalState.REQUESTED


async def test_a_person_counts_once_whatever_tokens_it_holds(world: World) -> None:
    asked = await world.requested(quorum=2)
    await world.approve(asked, BOB)
    for same in (BOB, person("bob", OFFICER, "operator"), person("bob", method="mtls")):
        assert await refusal(world.approve(asked, same)) == "APPROVAL_ALREADY_GIVEN"
    assert (await world.approvals.get(world.tenant, asked.approval_id)).missing == 1


async def test_only_holders_of_the_role_decide(world: World) -> None:
    asked = await world.requested()
    operator = person("bob", "operator")
    assert await refusal(world.approve(asked, operator)) == "APPROVAL_ROLE_MISSING"
    denial = world.approvals.deny(world.tenant, asked.approval_id, operator, reason="no")
    assert await refusal(denial) == "APPROVAL_ROLE_MISSING"


async def test_one_approves_what_one_has_seen(world: World) -> None:
    asked = await world.requested()
    other = world.approvals.approve(world.tenant, asked.approval_id, BOB, digest=bytes(32))
    assert await refusal(other) == "APPROVAL_OF_ANOTHER_PLAN"


@pytest.mark.parametrize("approvals", [0, 1, 2])
async def test_one_denial_ends_it_even_after_the_quorum(world: World, approvals: int) -> None:
    asked = await world.requested(quorum=2)
    for approver in (BOB, CAROL)[:approvals]:
        await world.approve(asked, approver)
    denied = await world.approvals.deny(world.tenant, asked.approval_id, DAN, reason="an incident")
    assert (denied.state, denied.settled_by) == (ApprovalState.DENIED, "dan")
    assert denied.decisions[-1].reason == "an incident"
    assert await refusal(world.approve(asked, person("eve"))) == "APPROVAL_SETTLED"


async def test_who_approved_may_still_deny(world: World) -> None:
    asked = await world.requested(quorum=2)
    await world.approve(asked, BOB)
    denied = await world.approvals.deny(world.tenant, asked.approval_id, BOB, reason="I was wrong")
    assert [decision.word for decision in denied.decisions] == ["approve", "deny"]


async def test_what_has_its_quorum_needs_no_more(world: World) -> None:
    approval = await world.approved()
    assert await refusal(world.approve(approval, CAROL)) == "APPROVAL_COMPLETE"


async def test_only_the_requester_withdraws(world: World) -> None:
    for approval in (await world.requested(), await world.approved()):
        bob = world.approvals.withdraw(world.tenant, approval.approval_id, BOB)
        assert await refusal(bob) == "APPROVAL_OF_ANOTHER"
        taken_back = await world.approvals.withdraw(world.tenant, approval.approval_id, ALICE)
        assert (taken_back.state, taken_back.settled_by) == (ApprovalState.WITHDRAWN, "alice")
        again = world.approvals.withdraw(world.tenant, approval.approval_id, ALICE)
        assert await refusal(again) == "APPROVAL_SETTLED"


async def test_a_changed_plan_takes_the_place_of_the_former_and_voids_it(world: World) -> None:
    former = await world.approved()
    plan = {"summary": "another", "steps": ["by hand"]}
    changed = await world.requested(plan=plan, supersedes=former.approval_id)
    assert (changed.state, changed.approvers) == (ApprovalState.REQUESTED, frozenset())
    voided = await world.approvals.get(world.tenant, former.approval_id)
    assert (voided.state, voided.superseded_by) == (ApprovalState.WITHDRAWN, changed.approval_id)
    assert await refusal(world.use(former)) == "APPROVAL_NOT_APPROVED"
    (withdrawn,) = [each for each in await world.told(former) if each.kind == "approval.withdrawn"]
    (requested,) = await world.told(changed)
    assert withdrawn.facts["superseded_by"] == str(changed.approval_id)
    assert requested.facts["supersedes"] == str(former.approval_id)


async def test_nobody_supersedes_what_is_anothers_or_over_or_not_there(world: World) -> None:
    approval = await world.requested()
    assert await refusal(world.requested(BOB, supersedes=approval.approval_id)) == "APPROVAL_OF_ANOTHER"
    assert await refusal(world.requested(supersedes=uuid4())) == "APPROVAL_NOT_FOUND"
    other_act = world.requested(supersedes=approval.approval_id, platform=True, tenant=world.platform)
    assert await refusal(other_act) == "APPROVAL_NOT_FOUND"
    await world.approvals.withdraw(world.tenant, approval.approval_id, ALICE)
    assert await refusal(world.requested(supersedes=approval.approval_id)) == "APPROVAL_SETTLED"
    assert len(await world.approvals.page(world.tenant, limit=10)) == 1


async def test_what_was_used_cannot_be_touched(world: World) -> None:
    approval = await world.approved()
    await world.use(approval)
    for act in (
        world.approve(approval, CAROL),
        world.approvals.deny(world.tenant, approval.approval_id, CAROL, reason="late"),
        world.approvals.withdraw(world.tenant, approval.approval_id, ALICE),
    ):
        assert await refusal(act) == "APPROVAL_USED"


@pytest.mark.parametrize("complete", [False, True])
async def test_what_is_over_expires_for_good_when_somebody_comes_too_late(
    world: World, complete: bool
) -> None:
    approval = await world.requested(lifetime=timedelta(seconds=1))
    if complete:
        await world.approve(approval)
    await asyncio.sleep(1.05)
    assert await world.state(approval) is ApprovalState.EXPIRED  # as it is shown, before anything moved it
    acts: tuple[Callable[[], Awaitable[Approval]], ...] = (
        lambda: world.approve(approval, CAROL),
        lambda: world.approvals.deny(world.tenant, approval.approval_id, CAROL, reason="late"),
        lambda: world.approvals.withdraw(world.tenant, approval.approval_id, ALICE),
    )
    for act in acts:
        assert await refusal(act()) == "APPROVAL_EXPIRED"
    (entry,) = [each for each in await world.told(approval) if each.kind == "approval.expired"]
    assert (entry.actor, entry.facts["was_approved"]) == ("gateway", complete)


async def test_a_sweep_expires_what_nobody_comes_for(world: World) -> None:
    over = [await world.requested(lifetime=timedelta(seconds=1)) for _ in range(3)]
    over.append(await world.requested(lifetime=timedelta(seconds=1), platform=True))
    kept = await world.requested()
    assert await world.approvals.expire() == 0
    await asyncio.sleep(1.05)
    assert await world.approvals.expire(limit=3) == 3
    assert await world.approvals.expire() == 1
    assert await world.approvals.expire() == 0
    assert await world.state(kept) is ApprovalState.REQUESTED
    expired = [entry for entry in await world.told() if entry.kind == "approval.expired"]
    assert sorted(entry.tenant or "" for entry in expired) == ["", "acme", "acme", "acme"]
    assert {entry.subject for entry in expired} == {f"approval:{each.approval_id}" for each in over}


async def test_each_transition_is_an_entry_with_its_facts(world: World) -> None:
    approval = await world.requested(quorum=2)
    await world.approve(approval, BOB)
    await world.approve(approval, CAROL)
    await world.use(approval)
    requested, first, second, used = await world.told(approval)
    digest = approval.digest.hex()
    assert requested.facts == {
        "approval_id": str(approval.approval_id),
        "act": "manual.act",
        "digest": digest,
        "platform": False,
        "role": OFFICER,
        "quorum": 2,
        "reason": "the root key is old",
        "ticket": "SEC-7",
        "expires_us": round(approval.expires_at.timestamp() * 1e6),
        "supersedes": None,
    }
    assert [(each.actor, each.facts["approvals"], each.facts["key_id"]) for each in (first, second)] == [
        ("bob", 1, None),
        ("carol", 2, None),
    ]
    assert {each.facts["digest"] for each in (requested, first, second, used)} == {digest}
    assert {each.tenant for each in (requested, first, second, used)} == {"acme"}


async def test_what_is_refused_leaves_no_entry(world: World) -> None:
    approval = await world.requested()
    await refusal(world.approve(approval, ALICE))
    await refusal(world.use(approval))
    assert len(await world.told()) == 1


async def test_tenants_never_meet(world: World, database: Database) -> None:
    approval = await world.requested()
    stranger = world.stranger
    for act in (
        world.approvals.get(stranger, approval.approval_id),
        world.approvals.approve(stranger, approval.approval_id, BOB, digest=approval.digest),
        world.approvals.deny(stranger, approval.approval_id, BOB, reason="no"),
        world.approvals.withdraw(stranger, approval.approval_id, ALICE),
        world.approvals.get(world.platform, approval.approval_id),
    ):
        with pytest.raises(NotFound, match="APPROVAL_NOT_FOUND"):
            await act
    assert await world.approvals.page(stranger, limit=10) == []
    assert await world.approvals.awaiting(stranger, BOB) == []
    async with database.read(stranger.tenant_id) as connection:
        assert await connection.fetch("SELECT FROM approval") == []


async def test_what_concerns_the_platform_is_the_platform_tenants_alone(world: World) -> None:
    with pytest.raises(PermissionDenied, match="PLATFORM_TENANT_ONLY"):
        await world.requested(platform=True, tenant=world.tenant)
    approval = await world.approved(platform=True)
    assert (approval.platform, approval.owner.name) == (True, "local")
    with pytest.raises(NotFound):
        await world.approvals.get(world.tenant, approval.approval_id)
    assert {entry.tenant for entry in await world.told(approval)} == {None}


SENSELESS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"reason": ""}, "/reason"),
    ({"reason": "two\nlines"}, "/reason"),
    ({"reason": "turned \u202eround"}, "/reason"),
    ({"reason": "x" * 2_001}, "/reason"),
    ({"ticket": "\x1b[2J"}, "/ticket"),
    ({"role": ""}, "/role"),
    ({"role": "analyst"}, "/role"),
    ({"role": "nosuch"}, "/role"),
    ({"quorum": 17}, "/quorum"),
    ({"quorum": -1}, "/quorum"),
    ({"lifetime": timedelta()}, "/expires_in"),
    ({"lifetime": timedelta(days=31)}, "/expires_in"),
    ({"kind": "ledger.acknowledge_fork"}, "/platform"),
    ({"kind": "flag.change", "role": "operator"}, "/role"),
)
DOCUMENTS = {
    "manual.act": b'{"summary":"s","steps":["t"]}',
    "flag.change": b'{"flag":"cmk","before":"a","after":"b","tenant":"acme","share_percent":null}',
    "ledger.acknowledge_fork": (
        b'{"origin":"o","index":1,"signed_size":2,"signed_root":"a","database_size":1,"database_root":"b"}'
    ),
}


async def test_a_request_that_makes_no_sense_is_refused_by_name(world: World) -> None:
    for change, field in SENSELESS:
        kind = change.get("kind", "manual.act")
        wanted = {"kind": kind, "document": DOCUMENTS[kind], "reason": "r", "role": OFFICER}
        with pytest.raises(InvalidArgument) as caught:
            await world.approvals.request(world.tenant, Wanted(**wanted | change), ALICE)
        assert caught.value.reason == "APPROVAL_REQUEST_INVALID"
        assert [each.pointer for each in caught.value.violations] == [field]
    assert await world.told() == []


FLAG = {
    "flag": "temporal",
    "before": "on by default",
    "after": "off",
    "tenant": "acme",
    "share_percent": None,
}


@pytest.mark.parametrize(
    ("change", "platform", "wrong"),
    [
        ({"tenant": "other"}, False, ["/tenant"]),
        ({"tenant": None, "share_percent": 10}, False, ["/tenant", "/share_percent"]),
        ({"share_percent": 10}, False, ["/share_percent"]),
        ({"flag": "nosuch"}, False, ["/flag"]),
        ({"tenant": None}, True, ["/share_percent"]),
        ({"tenant": "local", "share_percent": 10}, True, ["/tenant"]),
    ],
)
async def test_what_no_act_of_the_asker_will_be_is_not_shown_to_approvers(
    world: World, change: dict[str, Any], platform: bool, wrong: list[str]
) -> None:
    tenant = world.platform if platform else world.tenant
    document = json.dumps(FLAG | change).encode()
    with pytest.raises(InvalidArgument) as caught:
        await world.approvals.request(tenant, Wanted("flag.change", document, "r", platform=platform), ALICE)
    assert caught.value.reason == "APPROVAL_DOCUMENT_UNFIT"
    assert [each.pointer for each in caught.value.violations] == wrong


async def test_what_concerns_one_tenant_is_not_asked_for_the_platform(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_tenant = replace(kinds.KINDS["manual.act"], name="tenant.act", scope=Scope.TENANT)
    monkeypatch.setattr(kinds, "KINDS", {**kinds.KINDS, of_tenant.name: of_tenant})
    wanted = Wanted("tenant.act", DOCUMENTS["manual.act"], "r", role=OFFICER)
    assert (await world.approvals.request(world.platform, wanted, ALICE)).kind == "tenant.act"
    with pytest.raises(InvalidArgument) as caught:
        await world.approvals.request(world.platform, replace(wanted, platform=True), ALICE)
    assert [each.pointer for each in caught.value.violations] == ["/platform"]


async def test_what_was_approved_cannot_be_changed_in_the_database(world: World, database: Database) -> None:
    await world.requested()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.write() as connection:
            await connection.execute("UPDATE approval SET document = '{}', digest = sha256('{}')")


async def test_pages_hold_every_approval_once_newest_first(world: World) -> None:
    made = [await world.requested() for _ in range(5)]
    await world.approve(made[1])
    for approval in made[3:]:
        await world.approvals.withdraw(world.tenant, approval.approval_id, ALICE)
    listed = await world.approvals.page(world.tenant, limit=10)
    assert [each.approval_id for each in listed] == [each.approval_id for each in reversed(made)]
    assert {each.document for each in listed} == {b""}
    assert listed[3].approvers == {"bob"}
    states = [ApprovalState.REQUESTED, ApprovalState.APPROVED]
    opened = await world.approvals.page(world.tenant, states=states, limit=10)
    assert [each.approval_id for each in opened] == [each.approval_id for each in reversed(made[:3])]
    assert await world.approvals.page(world.tenant, kind="flag.change", limit=10) == []
