"""What ends a fork of the ledger is approved while the ledger takes no entries, and told when it is used."""

import json

import pytest

from intelgraph.approvals.approval import Approval, ApprovalState
from intelgraph.approvals.request import Wanted
from intelgraph.errors import FailedPrecondition
from tests.approvals.world import ALICE, BOB, CAROL, World

PLAN = {
    "origin": "o",
    "index": 7,
    "signed_size": 9,
    "signed_root": "ab",
    "database_size": 7,
    "database_root": "cd",
}
WANTED = Wanted("ledger.acknowledge_fork", json.dumps(PLAN).encode(), "restored", quorum=2, platform=True)


async def set_fork(world: World, index: int | None) -> None:
    async with world.database.write() as connection:
        await connection.execute("UPDATE ledger_log SET fork_index = $1", index)


async def acknowledge(world: World, approval: Approval, *, ending: bool = True) -> Approval:
    async with world.database.write() as connection:
        if ending:
            await connection.execute("UPDATE ledger_log SET fork_index = NULL")
        return await world.approvals.consume(
            connection,
            approval_id=approval.approval_id,
            kind=WANTED.kind,
            tenant=None,
            document=PLAN,
            by=ALICE.actor,
        )


async def test_it_is_asked_for_and_approved_and_told_when_it_is_used(world: World) -> None:
    await set_fork(world, 7)
    approval = await world.approvals.request(world.platform, WANTED, ALICE)
    await world.approve(approval, BOB)
    approved = await world.approve(approval, CAROL)
    assert approved.owed
    assert await world.told() == []
    with pytest.raises(FailedPrecondition, match="LEDGER_FORKED"):
        await acknowledge(world, approval, ending=False)
    assert (await acknowledge(world, approval)).state is ApprovalState.USED
    told = await world.told(approval)
    assert [(entry.kind, entry.actor) for entry in told] == [
        ("approval.requested", "alice"),
        ("approval.approved", "bob"),
        ("approval.approved", "carol"),
        ("approval.used", "alice"),
    ]
    assert [entry.facts.get("approvals") for entry in told[1:3]] == [1, 2]


async def test_nothing_else_is_asked_for_or_decided_meanwhile(world: World) -> None:
    approval, approved = await world.requested(), await world.approved()
    await set_fork(world, 7)
    for act in (
        world.requested(),
        world.approve(approval),
        world.approvals.deny(world.tenant, approval.approval_id, BOB, reason="no"),
        world.use(approved),
    ):
        with pytest.raises(FailedPrecondition, match="LEDGER_FORKED"):
            await act
    assert await world.state(approval) is ApprovalState.REQUESTED
    assert await world.state(approved) is ApprovalState.APPROVED


async def test_one_that_was_asked_for_before_is_told_as_any(world: World) -> None:
    approval = await world.approvals.request(world.platform, WANTED, ALICE)
    assert not approval.owed
    assert [entry.kind for entry in await world.told(approval)] == ["approval.requested"]
    await set_fork(world, 7)
    with pytest.raises(FailedPrecondition, match="LEDGER_FORKED"):
        await world.approve(approval)


async def test_what_ends_the_fork_otherwise_voids_it_and_tells_what_is_owed(world: World) -> None:
    await set_fork(world, 7)
    approval = await world.approvals.request(world.platform, WANTED, ALICE)
    await world.approve(approval, BOB)
    await set_fork(world, None)
    async with world.database.write() as connection:
        assert await world.approvals.void_open(connection, CAROL.actor) == 1
    assert await world.state(approval) is ApprovalState.WITHDRAWN
    told = await world.told(approval)
    assert [(entry.kind, entry.actor) for entry in told] == [
        ("approval.requested", "alice"),
        ("approval.approved", "bob"),
        ("approval.voided", "carol"),
    ]
