"""An approval is used once, in the transaction of the act, for exactly the plan that was approved."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from intelgraph.approvals.approval import Approval, ApprovalState
from intelgraph.errors import FailedPrecondition, InvalidArgument, NotFound
from tests.approvals.world import ALICE, BOB, CAROL, PLAN, World


async def test_it_is_used_with_the_act_and_never_again(world: World) -> None:
    approval = await world.approved()
    used = await world.use(approval)
    assert (used.state, used.settled_by) == (ApprovalState.USED, "alice")
    assert await world.state(approval) is ApprovalState.USED
    with pytest.raises(FailedPrecondition) as caught:
        await world.use(approval)
    assert caught.value.reason == "APPROVAL_USED"
    assert [entry.kind for entry in await world.told(approval)] == [
        "approval.requested",
        "approval.approved",
        "approval.used",
    ]


async def test_an_act_that_is_undone_leaves_it_approved(world: World) -> None:
    approval = await world.approved()

    async def undone() -> None:
        async with world.database.write() as connection:
            await world.approvals.consume(
                connection,
                approval_id=approval.approval_id,
                kind="manual.act",
                tenant=world.tenant,
                document=PLAN,
            )
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await undone()
    assert await world.state(approval) is ApprovalState.APPROVED
    assert (await world.use(approval)).state is ApprovalState.USED


async def test_the_order_in_which_a_plan_is_written_does_not_matter(world: World) -> None:
    approval = await world.approved()
    assert (await world.use(approval, dict(reversed(PLAN.items())))).state is ApprovalState.USED


@pytest.mark.parametrize(
    "plan",
    [
        {**PLAN, "summary": "rotate the root keys"},
        {**PLAN, "steps": PLAN["steps"][::-1]},
        {**PLAN, "steps": PLAN["steps"][:1]},
    ],
)
async def test_a_changed_plan_is_refused_and_uses_nothing(world: World, plan: dict[str, Any]) -> None:
    approval = await world.approved()
    with pytest.raises(FailedPrecondition) as caught:
        await world.use(approval, plan)
    assert caught.value.reason == "APPROVAL_OF_ANOTHER_PLAN"
    assert caught.value.metadata["approval_digest"] == approval.digest.hex()
    assert await world.state(approval) is ApprovalState.APPROVED


async def test_a_plan_that_is_none_of_its_kind_is_refused_before_anything_is_looked_up(world: World) -> None:
    approval = await world.approved()
    for plan in ({**PLAN, "more": 1}, {"summary": "s"}):
        with pytest.raises(InvalidArgument) as caught:
            await world.use(approval, plan)
        assert caught.value.reason == "APPROVAL_DOCUMENT_UNFIT"


async def _consume(world: World, approval: Approval, **other: Any) -> None:
    how: Mapping[str, Any] = {
        "approval_id": approval.approval_id,
        "kind": "manual.act",
        "tenant": world.tenant,
        "document": PLAN,
    }
    async with world.database.write() as connection:
        await world.approvals.consume(connection, **{**how, **other})


async def test_it_holds_for_its_kind_its_tenant_and_its_scope(world: World) -> None:
    approval = await world.approved()
    flag = {"flag": "cmk", "before": "a", "after": "b", "tenant": "acme", "share_percent": None}
    for other, reason in (
        ({"kind": "flag.change", "document": flag}, "APPROVAL_OF_ANOTHER_PLAN"),
        ({"tenant": world.stranger}, "APPROVAL_NOT_FOUND"),
        ({"tenant": None}, "APPROVAL_NOT_FOUND"),
        ({"approval_id": uuid4()}, "APPROVAL_NOT_FOUND"),
        ({"approval_id": None}, "APPROVAL_MISSING"),
    ):
        with pytest.raises((FailedPrecondition, NotFound)) as caught:
            await _consume(world, approval, **other)
        assert caught.value.reason == reason
    assert await world.state(approval) is ApprovalState.APPROVED


async def test_one_of_the_platform_tenant_itself_is_none_of_the_platform(world: World) -> None:
    own = await world.requested(tenant=world.platform)
    await world.approvals.approve(world.platform, own.approval_id, BOB, digest=own.digest)
    of_platform = await world.approved(platform=True)
    for approval, wrong in ((own, None), (of_platform, world.platform)):
        with pytest.raises(FailedPrecondition, match="APPROVAL_OF_ANOTHER_PLAN"):
            await _consume(world, approval, tenant=wrong)
    await _consume(world, own, tenant=world.platform)
    await _consume(world, of_platform, tenant=None)


async def test_what_is_not_approved_cannot_be_used(world: World) -> None:
    waiting = await world.requested(quorum=2)
    await world.approve(waiting, BOB)
    denied = await world.requested()
    await world.approvals.deny(world.tenant, denied.approval_id, BOB, reason="no")
    withdrawn = await world.approved()
    await world.approvals.withdraw(world.tenant, withdrawn.approval_id, ALICE)
    for approval, state in ((waiting, "requested"), (denied, "denied"), (withdrawn, "withdrawn")):
        with pytest.raises(FailedPrecondition) as caught:
            await world.use(approval)
        assert (caught.value.reason, caught.value.metadata["state"]) == ("APPROVAL_NOT_APPROVED", state)


async def test_what_was_approved_and_then_denied_cannot_be_used(world: World) -> None:
    approval = await world.approved()
    await world.approvals.deny(world.tenant, approval.approval_id, CAROL, reason="an incident is open")
    with pytest.raises(FailedPrecondition, match="APPROVAL_NOT_APPROVED"):
        await world.use(approval)


async def test_its_time_ends_by_the_databases_clock(world: World) -> None:
    approval = await world.approved(lifetime=timedelta(seconds=1))
    await asyncio.sleep(1.05)
    with pytest.raises(FailedPrecondition, match="APPROVAL_EXPIRED"):
        await world.use(approval)
    assert await world.state(approval) is ApprovalState.EXPIRED


async def test_of_two_acts_that_race_one_happens(world: World) -> None:
    for _ in range(10):
        approval = await world.approved()
        outcomes = await asyncio.gather(*(world.use(approval) for _ in range(4)), return_exceptions=True)
        refused = [each for each in outcomes if isinstance(each, FailedPrecondition)]
        assert [each.reason for each in refused] == ["APPROVAL_USED"] * 3
        assert len([each for each in outcomes if isinstance(each, Approval)]) == 1
        assert [entry.kind for entry in await world.told(approval)].count("approval.used") == 1


async def test_the_second_act_waits_for_the_first_and_goes_by_how_that_ended(world: World) -> None:
    approval = await world.approved()
    async with world.database.writer.acquire() as connection:
        first = connection.transaction()
        await first.start()
        await world.approvals.consume(
            connection,
            approval_id=approval.approval_id,
            kind="manual.act",
            tenant=world.tenant,
            document=PLAN,
        )
        second = asyncio.create_task(world.use(approval))
        await asyncio.sleep(0.2)
        assert not second.done()
        await first.rollback()
    assert (await second).state is ApprovalState.USED


async def test_an_approval_that_expires_while_an_act_waits_for_it_is_over(world: World) -> None:
    approval = await world.approved(lifetime=timedelta(seconds=1))
    async with world.database.write() as connection:
        await connection.execute("SELECT FROM approval FOR UPDATE")
        waiting = asyncio.create_task(world.use(approval))
        await asyncio.sleep(1.1)
        assert not waiting.done()
    with pytest.raises(FailedPrecondition, match="APPROVAL_EXPIRED"):
        await waiting


async def test_what_was_approved_is_what_is_told(world: World) -> None:
    approval = await world.approved()
    used = await world.use(approval)
    stored = await world.approvals.get(world.tenant, approval.approval_id)
    assert replace(stored, decisions=()) == replace(used, decisions=())
    (entry,) = [each for each in await world.told(approval) if each.kind == "approval.used"]
    assert (entry.actor, entry.tenant) == ("alice", "acme")
    assert entry.facts["digest"] == approval.digest.hex()
