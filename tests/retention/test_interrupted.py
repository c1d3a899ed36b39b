"""A run that dies or is cancelled between any two things it does, is raced, or meets live traffic on its entities."""

import asyncio
import itertools
import json
from pathlib import Path

import pytest

from intelgraph.errors import AlreadyExists
from intelgraph.ingest.metrics import RECENT_COMMITS
from intelgraph.operations.operation import OperationState
from intelgraph.operations.pace import BASELINE_FEWEST, Pace
from intelgraph.storage import change_log
from intelgraph.storage.database import Database
from intelgraph.temporal.entities import EntityName
from intelgraph.tenants.registry import Tenant
from tests.operations.adding import Failpoint, Killed
from tests.retention.runs import ALICE, Runs
from tests.retention.shortening import approved, document_of, of_class
from tests.temporal.world import World, contract, running, upsert

CONSTANT = {"constant": "x" * 4000}
CHANGES, DUE = 24, 16


async def an_aged_log(world: World, runs: Runs) -> Tenant:
    """Four stations that change in turn; most of the changes are due, and some records in quarantine."""
    tenant = await world.tenant()
    changes = [{"id": f"S{n % 4}", "at": n, "n": n, **CONSTANT} for n in range(1, CHANGES + 1)]
    await world.ingest(tenant, *map(upsert, changes))
    await world.ingest(tenant, upsert({"at": 1}), upsert({"at": 2}))
    await runs.age(tenant, DUE, 31)
    await runs.as_owner(
        tenant, "UPDATE quarantine SET recorded = recorded - interval '31 days' WHERE tenant_id = $1"
    )
    return tenant


async def stored(world: World, tenant: Tenant) -> dict[str, object]:
    """What is in the tables, but for what is sealed and when."""
    async with world.database.read(tenant.tenant_id) as connection:
        return {
            "changes": [
                tuple(row)
                for row in await connection.fetch(
                    "SELECT seq, version, since_base, snapshot IS NOT NULL FROM entity_change_log ORDER BY seq"
                )
            ],
            "ranges": [
                tuple(row)
                for row in await connection.fetch(
                    "SELECT first_seq, last_seq FROM removed_range ORDER BY last_seq"
                )
            ],
            "quarantine": await connection.fetchval("SELECT count(*) FROM quarantine_record"),
            "quarantined": await connection.fetchval("SELECT quarantined FROM tenant_clock"),
            "waiting": await connection.fetchval("SELECT count(*) FROM anchor_waiting"),
            "through": await connection.fetchval("SELECT through FROM retention_mark"),
        }


async def readable(world: World, tenant: Tenant) -> None:
    """Nothing in the log is broken: every change opens, and every entity reads."""
    verdict = await world.verifier.verify(tenant)
    assert verdict.findings == ()
    async with world.database.read(tenant.tenant_id) as connection:
        entities = await connection.fetch("SELECT DISTINCT entity_id FROM entity_change_log")
    for row in entities:
        await world.entities.history(
            tenant, EntityName("stations", row["entity_id"]), None, 500, with_documents=True
        )


@pytest.fixture
def small(world: World, runs: Runs) -> Runs:
    """Runs in batches of a few changes."""
    return Runs(world, runs.storage, batch_changes=DUE // 2)


async def places(world: World, small: Runs) -> tuple[list[str], dict[str, object]]:
    """Every place at which a run can die, and what a run leaves that does not."""
    tenant = await an_aged_log(world, small)
    counting = Failpoint(0)
    await small.start(tenant)
    await small.hold_all(small.runner(after_step=counting))
    return counting.seen, await stored(world, tenant)


async def die_at(runs: Runs, place: int) -> None:
    runner = runs.runner(after_step=Failpoint(place), lease_seconds=1)
    held = await runner.claim()
    assert held is not None
    with pytest.raises(Killed):
        await runner.hold(held)


async def test_killed_at_every_step_it_ends_as_if_it_had_not_been(world: World, small: Runs) -> None:
    seen, expected = await places(world, small)
    assert {"remove.applied", "quarantine.committed", "merge.gripped", "end.applied"} <= set(seen)
    for place in range(1, len(seen) + 1):
        tenant = await an_aged_log(world, small)
        operation = await small.start(tenant)
        await die_at(small, place)
        await readable(world, tenant)
        await small.as_owner(tenant, "UPDATE operation SET lease_until = '-infinity' WHERE tenant_id = $1")
        await small.hold_all(small.runner())
        ended = await small.ended(tenant, operation.operation_id)
        assert await stored(world, tenant) == expected, seen[place - 1]
        counts = small.by_dataset(ended)["stations"]
        assert (counts["removed"], counts["quarantine_records"]) == (DUE, 2), seen[place - 1]


async def test_cancelled_at_every_step_what_is_left_reads_and_the_next_run_takes_the_rest(
    world: World, small: Runs
) -> None:
    seen, expected = await places(world, small)
    for place in range(1, len(seen) - 1):
        tenant = await an_aged_log(world, small)
        operation = await small.start(tenant)
        await die_at(small, place)
        await small.operations.cancel(tenant, operation.operation_id, ALICE)
        await small.as_owner(tenant, "UPDATE operation SET lease_until = '-infinity' WHERE tenant_id = $1")
        await small.hold_all(small.runner())
        cancelled = await small.operations.get(tenant, operation.operation_id)
        assert cancelled.state is OperationState.CANCELLED, seen[place - 1]
        removed = json.loads(cancelled.memory)["datasets"]
        gone = sum(each["removed"] + each["quarantine_records"] for each in removed)
        told = "are gone for good" if gone else "nothing had been removed"
        assert told in cancelled.undone
        await readable(world, tenant)
        await world.ingest(tenant, upsert({"id": "S1", "at": 99, **CONSTANT}))
        await small.run(tenant)
        await readable(world, tenant)
        after = await stored(world, tenant)
        assert after["ranges"] == expected["ranges"], seen[place - 1]


async def test_two_runs_at_once_are_refused(world: World, small: Runs) -> None:
    tenant = await an_aged_log(world, small)
    await small.start(tenant)
    with pytest.raises(AlreadyExists, match="OPERATION_UNDER_WAY"):
        await small.start(tenant)


async def test_a_hold_that_is_published_during_a_run_stops_it(world: World, small: Runs) -> None:
    seen, _ = await places(world, small)
    tenant = await an_aged_log(world, small)
    operation = await small.start(tenant)
    await die_at(small, seen.index("remove.committed") + 1)
    held = contract(tenant.name, version="2.0.0").replace(b"short-30d", b"legal-hold")
    await world.publisher.publish(tenant, held, by=ALICE)
    await small.as_owner(tenant, "UPDATE operation SET lease_until = '-infinity' WHERE tenant_id = $1")
    await small.hold_all(small.runner())
    counts = small.by_dataset(await small.ended(tenant, operation.operation_id))["stations"]
    assert 0 < counts["removed"] < DUE
    assert counts["held_because"].startswith("a contract that holds")
    await readable(world, tenant)


async def test_a_longer_class_that_is_published_during_a_run_stops_it_and_nothing_is_passed_over(
    world: World, small: Runs
) -> None:
    seen, expected = await places(world, small)
    tenant = await an_aged_log(world, small)
    operation = await small.start(tenant)
    await die_at(small, seen.index("remove.committed") + 1)
    await world.publisher.publish(tenant, of_class(tenant, "standard-365d", "2.0.0"), by=ALICE)
    await small.as_owner(tenant, "UPDATE operation SET lease_until = '-infinity' WHERE tenant_id = $1")
    await small.hold_all(small.runner())
    counts = small.by_dataset(await small.ended(tenant, operation.operation_id))["stations"]
    assert 0 < counts["removed"] < DUE
    assert counts["quarantine_records"] == 0
    assert counts["held_because"].startswith("a contract that holds")
    await readable(world, tenant)
    shorter = of_class(tenant, "short-30d", "2.1.0")
    document = await document_of(world, tenant, shorter)
    assert (document["due_changes"], document["due_quarantined"]) == (DUE - counts["removed"], 2)
    given = await approved(world, tenant, document)
    await world.publisher.publish(tenant, shorter, by=ALICE, approval_id=given)
    await small.run(tenant)
    assert await stored(world, tenant) == expected


async def test_ingest_of_the_same_entities_goes_on_exactly_once(
    world: World, small: Runs, database: Database, tmp_path: Path
) -> None:
    tenant = await an_aged_log(world, small)
    async with running(database, tmp_path / "keys") as other:
        operation = await small.start(tenant)
        stop = asyncio.Event()
        accepted = 0

        async def send(gateway: World, first: int) -> None:
            nonlocal accepted
            at = 1000 + first
            while not stop.is_set():
                at += 2
                ack = await gateway.ingest(
                    tenant, *(upsert({"id": f"S{n}", "at": at, "n": at, **CONSTANT}) for n in range(4))
                )
                assert ack.accepted + ack.duplicate == 4
                accepted += ack.accepted

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(send(world, 0))
            tasks.create_task(send(other, 1))
            await asyncio.sleep(0.1)
            await small.hold_all(small.runner())
            stop.set()
        await small.ended(tenant, operation.operation_id)
    await readable(world, tenant)
    changes = (await stored(world, tenant))["changes"]
    assert isinstance(changes, list)
    assert len(changes) == CHANGES - DUE + accepted
    assert [seq for seq, *_ in changes] == list(range(DUE + 1, CHANGES + accepted + 1))


async def test_it_yields_to_ingest_that_got_slower_and_shows_it(world: World, runs: Runs) -> None:
    # Three, so that what is slowed are three commits of them, and not one of a group.
    tenant, lives = await an_aged_log(world, runs), [await world.tenant() for _ in range(3)]
    RECENT_COMMITS.clear()

    async def commits(live: Tenant, count: int) -> None:
        for _ in range(count):
            await world.ingest(live, upsert({"id": "S", "at": next(times)}))

    times = itertools.count(1)
    pace = Pace(RECENT_COMMITS)
    await commits(lives[0], BASELINE_FEWEST + 5)
    assert not await pace.give_way(_never), "ingest is as fast as ever"

    operation = await runs.start(tenant)
    runner = runs.runner(pace=pace)
    held = await runner.claim()
    assert held is not None
    async with pace.working():
        async with world.database.write() as connection:
            # As anything that slows commits down while a step runs: somebody else holds the clock rows.
            for live in lives:
                await change_log.lock_clock(connection, live.tenant_id)
            slowed = [asyncio.create_task(commits(live, 1)) for live in lives]
            await asyncio.sleep(1.0)
        await asyncio.gather(*slowed)
    # What is "of late" ends soon: nothing but the run comes between.
    holding = asyncio.create_task(runner.hold(held))
    shown = []
    while not holding.done():
        shown.append((await runs.operations.get(tenant, operation.operation_id)).yielding)
        await asyncio.sleep(0.01)
    await holding
    assert True in shown
    assert (await runs.ended(tenant, operation.operation_id)).yielding is False


async def _never() -> None:
    raise AssertionError("nothing is to be waited for")
