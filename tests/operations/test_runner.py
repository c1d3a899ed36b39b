"""Operations that die, are cancelled, are fought over, fail and are put back: each effect once, or undone."""

import asyncio
from pathlib import Path

import pytest

from intelgraph.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Unavailable
from intelgraph.operations import rows
from intelgraph.operations.catalogue import Catalogue
from intelgraph.operations.operation import OperationState
from intelgraph.storage.embedded import EmbeddedServer
from intelgraph.tenants.registry import Tenant
from tests.operations.adding import ALICE, ROWS, Adders, Adding, Failpoint, Killed
from tests.parts.outbox import waiting
from tests.parts.postgres import superuser

STEPS = [
    (1, "add", "done"),
    (2, "add", "done"),
    (3, "add", "done"),
    (4, "write", "begin"),
    (4, "write", "done"),
]


async def places(adders: Adders, tenant: Tenant) -> list[str]:
    """Every place at which a holder can die."""
    counting = Failpoint(0)
    operation = await adders.start(tenant)
    await adders.finish(tenant, operation.operation_id, adders.runner(counting))
    return counting.seen


async def die_at(adders: Adders, place: int) -> None:
    """Has a holder begin, and die at the n-th place."""
    runner = adders.runner(Failpoint(place))
    held = await runner.claim()
    assert held is not None
    with pytest.raises(Killed):
        await runner.hold(held)


async def test_killed_at_every_step_another_goes_on_and_repeats_none(
    adders: Adders, tenant: Tenant, tmp_path: Path
) -> None:
    seen = await places(adders, tenant)
    assert len(seen) == 1 + 4 * ROWS + 6 + 3
    for place in range(1, len(seen) + 1):
        operation = await adders.start(tenant)
        await die_at(adders, place)
        ended = await adders.finish(tenant, operation.operation_id)
        assert ended.state is OperationState.DONE, seen[place - 1]
        assert await adders.effects(operation.operation_id) == [1, 2, 3], seen[place - 1]
        assert await adders.journal(operation.operation_id) == STEPS, seen[place - 1]
    lines = (tmp_path / "outside").read_text().splitlines()
    assert len(lines) == len(set(lines)) == len(seen) + 1


async def test_cancelled_at_every_step_it_undoes_and_says_so(adders: Adders, tenant: Tenant) -> None:
    seen = await places(adders, tenant)
    for place in range(1, len(seen) + 1):
        operation = await adders.start(tenant)
        await die_at(adders, place)
        if seen[place - 1] == "end.committed":
            with pytest.raises(FailedPrecondition, match="OPERATION_ENDED"):
                await adders.operations.cancel(tenant, operation.operation_id, ALICE)
            continue
        await adders.operations.cancel(tenant, operation.operation_id, ALICE)
        ended = await adders.finish(tenant, operation.operation_id)
        assert ended.state is OperationState.CANCELLED
        assert await adders.effects(operation.operation_id) == []
        assert ended.undone.startswith("the rows")
        # Cancelled once is cancelled.
        again = await adders.operations.cancel(tenant, operation.operation_id, ALICE)
        assert again.state is OperationState.CANCELLED


async def test_cancelled_while_it_runs_it_ends_one_way_or_the_other(adders: Adders, tenant: Tenant) -> None:
    total = len(await places(adders, tenant))
    for place in range(1, total + 1):
        operation = await adders.start(tenant)
        cancelling: list[asyncio.Task[object]] = []
        count = iter(range(1, total + 40))

        def cancel_here(where: str, at: int = place) -> None:
            if next(count) == at:  # noqa: B023 - used within this turn of the loop
                asking = adders.operations.cancel(tenant, operation.operation_id, ALICE)  # noqa: B023
                cancelling.append(asyncio.ensure_future(asking))  # noqa: B023

        ended = await adders.finish(tenant, operation.operation_id, adders.runner(cancel_here))
        (asked,) = await asyncio.gather(*cancelling, return_exceptions=True)
        if isinstance(asked, FailedPrecondition):
            assert ended.state is OperationState.DONE
        else:
            assert ended.state is OperationState.CANCELLED
        done = ended.state is OperationState.DONE
        assert await adders.effects(operation.operation_id) == ([1, 2, 3] if done else [])


async def test_killed_while_it_undoes_another_goes_on_undoing(adders: Adders, tenant: Tenant) -> None:
    for place in range(1, 40):
        operation = await adders.start(tenant)
        await die_at(adders, 10)
        await adders.operations.cancel(tenant, operation.operation_id, ALICE)
        await asyncio.sleep(0.25)
        failpoint = Failpoint(place)
        runner = adders.runner(failpoint)
        held = await runner.claim()
        assert held is not None
        try:
            await runner.hold(held)
        except Killed:
            pass
        else:
            break
        ended = await adders.finish(tenant, operation.operation_id)
        assert (ended.state, await adders.effects(operation.operation_id)) == (OperationState.CANCELLED, [])
    else:
        raise AssertionError("an operation that never ends")


async def test_one_that_has_not_begun_is_cancelled_at_once(adders: Adders, tenant: Tenant) -> None:
    operation = await adders.start(tenant)
    cancelled = await adders.operations.cancel(tenant, operation.operation_id, ALICE)
    assert (cancelled.state, cancelled.undone) == (OperationState.CANCELLED, "nothing had begun")
    assert await adders.runner().claim() is None


async def test_two_runners_at_once_do_everything_once(adders: Adders, tenant: Tenant) -> None:
    others = [await adders.tenants.ensure(f"other-{number}") for number in range(3)]
    started = [(each, await adders.start(each)) for each in (tenant, *others) for _ in range(5)]
    first, second = adders.runner(lease_seconds=5), adders.runner(lease_seconds=5)
    async with asyncio.timeout(30), first.running(), second.running():
        for each, operation in started:
            async for seen in adders.operations.watch(each, operation.operation_id):
                ended = seen
            assert ended.state is OperationState.DONE
    for _, operation in started:
        assert await adders.journal(operation.operation_id) == STEPS
        assert await adders.effects(operation.operation_id) == [1, 2, 3]


async def test_a_holder_that_was_stalled_commits_nothing_once_another_has_claimed(
    adders: Adders, tenant: Tenant
) -> None:
    operation = await adders.start(tenant)
    stalled, other = adders.runner(), adders.runner()
    held = await stalled.claim()
    assert held is not None
    assert await other.claim() is None, "the lease holds"
    await asyncio.sleep(0.3)
    taken = await other.claim()
    assert taken is not None
    assert taken.epoch == held.epoch + 1
    await stalled.hold(held)
    assert await adders.effects(operation.operation_id) == []
    assert await adders.journal(operation.operation_id) == []
    await other.hold(taken)
    # Nor does it at the end, or by letting go of what is not its any more.
    await stalled.hold(held)
    assert await adders.journal(operation.operation_id) == STEPS


async def test_a_holder_that_lives_keeps_its_lease(adders: Adders, tenant: Tenant) -> None:
    async def slow() -> None:
        await asyncio.sleep(0.5)

    adders.kind.in_step = slow
    operation = await adders.start(tenant)
    holder, other = adders.runner(), adders.runner()
    held = await holder.claim()
    assert held is not None
    holding = asyncio.create_task(holder.hold(held))
    while not holding.done():
        assert await other.claim() is None
        await asyncio.sleep(0.02)
    ended = await adders.operations.get(tenant, operation.operation_id)
    assert ended.state is OperationState.DONE


@pytest.mark.parametrize(
    ("seconds", "claimable"), [(-3600, True), (3600, True), (-0.001, True), (0.15, False)]
)
async def test_a_clock_that_was_set_neither_stops_an_operation_nor_doubles_it(
    adders: Adders, tenant: Tenant, seconds: float, claimable: bool
) -> None:
    """The database's clock as if set by so much after the lease was given: back, it ends beyond a whole lease."""
    operation = await adders.start(tenant)
    holder, other = adders.runner(), adders.runner()
    held = await holder.claim()
    assert held is not None
    await adders.as_owner(
        tenant,
        "UPDATE operation SET lease_until = clock_timestamp() + interval '1 second' * $2"
        " WHERE tenant_id = $1 AND state = 'running'",
        seconds,
    )
    taken = await other.claim()
    assert (taken is not None) is claimable
    if taken is not None:
        await asyncio.gather(holder.hold(held), other.hold(taken))
    else:
        await holder.hold(held)
    assert await adders.journal(operation.operation_id) == STEPS
    assert await adders.effects(operation.operation_id) == [1, 2, 3]


async def test_a_tenant_has_as_many_running_as_it_may(adders: Adders, tenant: Tenant) -> None:
    for _ in range(6):
        await adders.start(tenant)
    runners = [adders.runner(lease_seconds=30) for _ in range(8)]
    claimed = [each for each in await asyncio.gather(*(runner.claim() for runner in runners)) if each]
    claimed += [each for each in [await runner.claim() for runner in runners] if each]
    assert len(claimed) == 2
    other = await adders.tenants.ensure("other")
    await adders.start(other)
    of_other = await runners[0].claim()
    assert of_other is not None
    assert of_other.tenant == "other"
    await runners[0].hold(claimed[0])
    assert await runners[1].claim() is not None, "a slot is free again"


async def test_a_deadline_ends_it(adders: Adders, tenant: Tenant) -> None:
    operation = await adders.start(tenant, deadline_seconds=0.1)
    await asyncio.sleep(0.15)
    ended = await adders.finish(tenant, operation.operation_id)
    assert (ended.state, ended.reason) == (OperationState.FAILED, "OPERATION_DEADLINE")
    assert await adders.effects(operation.operation_id) == []


async def test_a_fault_that_no_retry_mends_is_recorded(adders: Adders, tenant: Tenant) -> None:
    async def refuse() -> None:
        raise InvalidArgument("MADE_UP", "it cannot be done")

    adders.kind.in_step = refuse
    operation = await adders.start(tenant)
    ended = await adders.finish(tenant, operation.operation_id)
    assert (ended.state, ended.reason, ended.message) == (
        OperationState.FAILED,
        "MADE_UP",
        "it cannot be done",
    )
    assert await adders.effects(operation.operation_id) == []


async def test_a_passing_fault_of_something_else_puts_it_back(adders: Adders, tenant: Tenant) -> None:
    async def away() -> None:
        raise Unavailable("KEY_UNAVAILABLE", "the KMS does not answer", retry_after=1.0)

    adders.kind.in_step = away
    operation = await adders.start(tenant)
    runner = adders.runner()
    held = await runner.claim()
    assert held is not None
    await runner.hold(held)
    waiting = await adders.operations.get(tenant, operation.operation_id)
    assert (waiting.state, waiting.attempts, waiting.reason) == (
        OperationState.RUNNING,
        1,
        "KEY_UNAVAILABLE",
    )
    assert await runner.claim() is None, "not at once"
    adders.kind.in_step = None
    await adders.as_owner(tenant, "UPDATE operation SET not_before = '-infinity' WHERE tenant_id = $1")
    ended = await adders.finish(tenant, operation.operation_id)
    assert (ended.state, ended.attempts, ended.reason) == (OperationState.DONE, 0, "")


async def test_connections_that_break_in_a_step_are_no_fault_of_it(
    adders: Adders, tenant: Tenant, postgres: EmbeddedServer
) -> None:
    broken = 0

    async def break_connections() -> None:
        nonlocal broken
        broken += 1
        if broken in {1, 3}:
            await superuser(
                postgres,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'intelgraph_writer'",
            )

    adders.kind.in_step = break_connections
    operation = await adders.start(tenant)
    ended = await adders.finish(tenant, operation.operation_id, adders.runner(lease_seconds=5))
    assert ended.state is OperationState.DONE
    assert await adders.journal(operation.operation_id) == STEPS
    assert await adders.effects(operation.operation_id) == [1, 2, 3]


async def test_what_a_gateway_holds_when_it_stops_is_handed_back(adders: Adders, tenant: Tenant) -> None:
    begun = asyncio.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.sleep(60)

    adders.kind.in_step = wait
    operation = await adders.start(tenant)
    runner = adders.runner(lease_seconds=600)
    async with runner.running():
        await asyncio.wait_for(begun.wait(), 10)
    adders.kind.in_step = None
    ended = await adders.finish(tenant, operation.operation_id)
    assert ended.state is OperationState.DONE
    assert await adders.effects(operation.operation_id) == [1, 2, 3]


async def test_tenants_do_not_see_each_others(adders: Adders, tenant: Tenant) -> None:
    operation = await adders.start(tenant)
    other = await adders.tenants.ensure("other")
    with pytest.raises(NotFound, match="OPERATION_NOT_FOUND"):
        await adders.operations.get(other, operation.operation_id)
    with pytest.raises(NotFound, match="OPERATION_NOT_FOUND"):
        await adders.operations.cancel(other, operation.operation_id, ALICE)
    assert await adders.operations.page(other, kind="", states=[], before=None, limit=9) == []
    (listed,) = await adders.operations.page(
        tenant, kind="test.adding", states=[OperationState.WAITING], before=None, limit=9
    )
    assert listed == operation


async def test_an_exclusive_kind_has_one_at_a_time(adders: Adders, tenant: Tenant) -> None:
    class Alone(Adding):
        NAME = "test.alone"
        EXCLUSIVE = True

    adders.kind = Alone(adders.kind.file)
    operation = await adders.start(tenant)
    with pytest.raises(AlreadyExists, match="OPERATION_UNDER_WAY") as caught:
        await adders.start(tenant)
    assert caught.value.metadata == {"operation_id": str(operation.operation_id)}
    await adders.operations.cancel(tenant, operation.operation_id, ALICE)
    await adders.start(tenant)


async def test_beginning_and_end_are_entries_of_the_ledger(adders: Adders, tenant: Tenant) -> None:
    done, cancelled = await adders.start(tenant), await adders.start(tenant)
    await adders.operations.cancel(tenant, cancelled.operation_id, ALICE)
    await adders.finish(tenant, done.operation_id)
    async with adders.database.write() as connection:
        kinds = [entry.kind for entry in await waiting(connection) if entry.tenant_id == tenant.tenant_id]
        backlog = await rows.backlog(connection)
    assert [kind for kind in kinds if kind >= 90] == [90, 90, 92, 91, 91]
    assert (backlog.waiting, backlog.running) == (0, 0)


def test_two_kinds_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one name"):
        Catalogue([Adding(tmp_path), Adding(tmp_path)])
