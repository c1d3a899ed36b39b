"""Two who act at once: the database lets one be first, and the other goes by what that left."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from intelgraph.approvals.approval import Approval, ApprovalState
from intelgraph.approvals.approvals import Approvals
from intelgraph.errors import IntelGraphError
from intelgraph.storage.database import Database
from intelgraph.storage.settings import StorageSettings
from tests.approvals.world import ALICE, BOB, CAROL, DAN, World

ROUNDS = 8
Act = Callable[[Approvals], Awaitable[Approval]]


@pytest.fixture
async def elsewhere(
    world: World, storage_settings: StorageSettings, tmp_path: Path
) -> AsyncIterator[Approvals]:
    """The approvals of another gateway on the same database."""
    other = await Database.connect(storage_settings)
    yield Approvals(other, world.parts.ledger, world.platform)
    await other.close()


async def outcomes(*acts: Coroutine[Any, Any, Approval]) -> list[ApprovalState | str]:
    """What came of acts that run at once: a state, or the reason of a refusal."""
    found: list[ApprovalState | str] = []
    for each in await asyncio.gather(*acts, return_exceptions=True):
        if isinstance(each, IntelGraphError):
            found.append(each.reason)
        elif isinstance(each, BaseException):
            raise each
        else:
            found.append(each.state)
    return found


@asynccontextmanager
async def held(world: World) -> AsyncIterator[None]:
    """Holds every approval locked, so that all who come meanwhile come at once when the block ends."""
    async with world.database.write() as connection:
        await connection.execute("SELECT FROM approval FOR UPDATE")
        yield


async def at_once(world: World, *acts: Coroutine[Any, Any, Approval]) -> list[ApprovalState | str]:
    """Runs acts that are all waiting for the row when it becomes free."""
    async with held(world):
        running = asyncio.create_task(outcomes(*acts))
        await asyncio.sleep(0.1)
    return await running


async def test_two_last_approvers(world: World, elsewhere: Approvals) -> None:
    for _ in range(ROUNDS):
        approval = await world.requested()
        here, there = await at_once(
            world,
            world.approve(approval, BOB),
            elsewhere.approve(world.tenant, approval.approval_id, CAROL, digest=approval.digest),
        )
        assert {here, there} == {ApprovalState.APPROVED, "APPROVAL_COMPLETE"}
        assert len((await world.approvals.get(world.tenant, approval.approval_id)).decisions) == 1


async def test_two_approvers_of_a_quorum_of_two(world: World, elsewhere: Approvals) -> None:
    for _ in range(ROUNDS):
        approval = await world.requested(quorum=2)
        found = await at_once(
            world,
            world.approve(approval, BOB),
            elsewhere.approve(world.tenant, approval.approval_id, CAROL, digest=approval.digest),
        )
        assert set(found) == {ApprovalState.REQUESTED, ApprovalState.APPROVED}
        assert await world.state(approval) is ApprovalState.APPROVED


async def test_one_person_twice_at_once(world: World, elsewhere: Approvals) -> None:
    for _ in range(ROUNDS):
        approval = await world.requested(quorum=2)
        found = await at_once(
            world,
            world.approve(approval, BOB),
            elsewhere.approve(world.tenant, approval.approval_id, BOB, digest=approval.digest),
        )
        assert set(found) == {ApprovalState.REQUESTED, "APPROVAL_ALREADY_GIVEN"}
        assert await world.state(approval) is ApprovalState.REQUESTED


async def test_approve_against_withdraw(world: World, elsewhere: Approvals) -> None:
    for _ in range(ROUNDS):
        approval = await world.requested()
        approved, withdrawn = await at_once(
            world,
            world.approve(approval, BOB),
            elsewhere.withdraw(world.tenant, approval.approval_id, ALICE),
        )
        # Either way it is withdrawn; whether the approval came first decides only whether it counted.
        assert withdrawn is ApprovalState.WITHDRAWN
        assert approved in {ApprovalState.APPROVED, "APPROVAL_SETTLED"}
        assert await world.state(approval) is ApprovalState.WITHDRAWN


async def test_deny_against_the_last_approve(world: World, elsewhere: Approvals) -> None:
    for _ in range(ROUNDS):
        approval = await world.requested()
        approved, denied = await at_once(
            world,
            world.approve(approval, BOB),
            elsewhere.deny(world.tenant, approval.approval_id, CAROL, reason="no"),
        )
        assert denied is ApprovalState.DENIED
        assert approved in {ApprovalState.APPROVED, "APPROVAL_SETTLED"}
        assert await world.state(approval) is ApprovalState.DENIED


@pytest.mark.parametrize("end", ["deny", "withdraw"])
async def test_an_act_against_who_stops_it(world: World, elsewhere: Approvals, end: str) -> None:
    for _ in range(ROUNDS):
        approval = await world.approved()
        stop = (
            elsewhere.deny(world.tenant, approval.approval_id, DAN, reason="no")
            if end == "deny"
            else elsewhere.withdraw(world.tenant, approval.approval_id, ALICE)
        )
        used, stopped = await at_once(world, world.use(approval), stop)
        state = await world.state(approval)
        if used is ApprovalState.USED:
            assert (stopped, state) == ("APPROVAL_USED", ApprovalState.USED)
        else:
            assert (used, stopped) == ("APPROVAL_NOT_APPROVED", state)


async def test_two_who_supersede_one_request(world: World, elsewhere: Approvals) -> None:
    approval = await world.requested()
    found = await at_once(
        world,
        world.requested(supersedes=approval.approval_id),
        world.requested(supersedes=approval.approval_id),
    )
    assert set(found) == {ApprovalState.REQUESTED, "APPROVAL_SETTLED"}
    assert len(await world.approvals.page(world.tenant, limit=10)) == 2


async def test_an_approver_who_waited_beyond_the_end_is_too_late(world: World, elsewhere: Approvals) -> None:
    approval = await world.requested(lifetime=timedelta(seconds=1))
    async with held(world):
        late = asyncio.create_task(
            outcomes(elsewhere.approve(world.tenant, approval.approval_id, BOB, digest=approval.digest))
        )
        await asyncio.sleep(1.1)
    assert await late == ["APPROVAL_EXPIRED"]
    assert await world.state(approval) is ApprovalState.EXPIRED


async def test_an_approver_against_the_sweep(world: World, elsewhere: Approvals) -> None:
    approvals = [await world.requested(lifetime=timedelta(seconds=1)) for _ in range(6)]
    await asyncio.sleep(0.8)

    async def sweep() -> None:
        for _ in range(30):
            await elsewhere.expire()
            await asyncio.sleep(0.02)

    async def approve_late(number: int, approval: Approval) -> list[ApprovalState | str]:
        await asyncio.sleep(0.07 * number)
        return await outcomes(world.approve(approval, BOB))

    swept = asyncio.create_task(sweep())
    found = await asyncio.gather(*(approve_late(*each) for each in enumerate(approvals)))
    await swept
    assert {each for (each,) in found} <= {ApprovalState.APPROVED, "APPROVAL_EXPIRED"}
    for approval in approvals:
        assert await world.state(approval) is ApprovalState.EXPIRED
        kinds = [entry.kind for entry in await world.told(approval)]
        assert kinds.count("approval.expired") == 1
