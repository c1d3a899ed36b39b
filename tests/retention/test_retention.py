"""What a run removes and what it keeps: chains, late versions, the tree, the feed, the heads of every gateway."""

import json
from pathlib import Path

import asyncpg
import pytest

from intelgraph.contracts.retention_classes import DAYS
from intelgraph.errors import DataLoss, NotFound
from intelgraph.gateway.v1 import entity_pb2
from intelgraph.storage.database import Database
from intelgraph.temporal.entities import EntityName, Moment
from intelgraph.temporal.verify import Finding
from intelgraph.tenants.registry import Tenant
from tests.parts.outbox import waiting
from tests.retention.runs import ALICE, Runs
from tests.retention.shortening import approved, document_of
from tests.temporal.world import Document, World, contract, delete, running, upsert

ROOT = Path(__file__).resolve().parents[2]
EWR = EntityName("stations", b'"EWR"')
JFK = EntityName("stations", b'"JFK"')
CONSTANT = {"constant": "x" * 4000}
"""So long that diffs are small beside it, and a chain is as long as it gets."""


def station(key: str, at: int, **more: object) -> Document:
    return {"id": key, "at": at, **CONSTANT, **more}


async def current(world: World, tenant: Tenant, entity: EntityName) -> entity_pb2.EntityVersion:
    answer = await world.entities.get(tenant, entity, Moment())
    return entity_pb2.GetResponse.FromString(answer.message).version


async def history(world: World, tenant: Tenant, entity: EntityName) -> list[entity_pb2.HistoryEntry]:
    answer = await world.entities.history(tenant, entity, None, 500, with_documents=True)
    return list(entity_pb2.HistoryResponse.FromString(answer.entries).entries)


async def feed(world: World, tenant: Tenant, after: int = 0, *datasets: str) -> tuple[list[int], int]:
    """The changes of the feed, and after which it ended."""
    seqs, resume = [], after
    async for part in world.feed.changes(tenant, after, datasets, until_now=True):
        entries = entity_pb2.ChangesResponse.FromString(part.entries).entries
        seqs += [entry.version.seq for entry in entries]
        resume = part.resume_after_seq
    return seqs, resume


async def test_a_kept_version_gets_a_snapshot_and_reads_as_before(
    world: World, runs: Runs, tenant: Tenant
) -> None:
    await world.ingest(tenant, *(upsert(station("EWR", 10 * n, n=n)) for n in range(1, 21)))
    before, history_before = await current(world, tenant, EWR), await history(world, tenant, EWR)
    verdict_before = await world.verifier.verify(tenant)
    await runs.age(tenant, 12, 31)

    counts = (await runs.run(tenant))["stations"]
    assert (counts["due"], counts["removed"], counts["anchored"]) == (12, 12, 1)
    assert counts["oldest_us"] <= counts["newest_us"] < counts["cut_us"]
    assert await current(world, tenant, EWR) == before
    assert await history(world, tenant, EWR) == history_before[:8]
    verdict = await world.verifier.verify(tenant)
    assert (verdict.findings, verdict.root) == ((), verdict_before.root)
    assert (verdict.changes, verdict.removed, verdict.removed_ranges) == (8, 12, ((1, 12),))
    assert await feed(world, tenant) == (list(range(13, 21)), 20)
    assert await feed(world, tenant, 5) == (list(range(13, 21)), 20)
    assert await feed(world, tenant, 5, "stations") == (list(range(13, 21)), 20)
    with pytest.raises(NotFound, match="NO_VERSION_AS_OF"):
        await world.entities.get(tenant, EWR, Moment(valid_us=120))

    # The chain goes on, past the place where the next snapshot is due.
    await world.ingest(tenant, *(upsert(station("EWR", 10 * n, n=n)) for n in range(21, 61)))
    assert (await current(world, tenant, EWR)).version == 60
    assert len(await history(world, tenant, EWR)) == 48
    assert (await world.verifier.verify(tenant)).findings == ()


async def test_an_entity_that_went_whole_is_new_again_and_the_same(
    world: World, runs: Runs, tenant: Tenant
) -> None:
    await world.ingest(tenant, upsert(station("EWR", 10)), upsert(station("JFK", 10)))
    identity = await world.entity_id(tenant, 1)
    await runs.age(tenant, 2, 31)
    assert (await runs.run(tenant))["stations"]["removed"] == 2
    with pytest.raises(NotFound, match="ENTITY_UNKNOWN"):
        await current(world, tenant, EWR)
    assert await feed(world, tenant) == ([], 2)
    # In memory the head was there until the run: nothing of it may be left, or this were a duplicate.
    ack = await world.ingest(tenant, upsert(station("EWR", 10)))
    assert (ack.accepted, ack.duplicate) == (1, 0)
    version = await current(world, tenant, EWR)
    assert (version.version, version.operation, version.entity_id) == (1, 1, str(identity))
    assert await feed(world, tenant) == ([3], 3)
    assert (await world.verifier.verify(tenant)).findings == ()


async def test_other_gateways_forget_the_heads_too(
    world: World, runs: Runs, tenant: Tenant, database: Database, tmp_path: Path
) -> None:
    async with running(database, tmp_path / "keys") as other:
        await other.ingest(tenant, *(upsert(station("EWR", 10 * n, n=n)) for n in range(1, 4)))
        await other.ingest(tenant, upsert(station("JFK", 10)))
        await runs.age(tenant, 2, 31)
        await runs.age(tenant, 4, 0)
        assert (await runs.run(tenant))["stations"]["anchored"] == 1
        # The chain's base is elsewhere now: a row that counted from the old one could not be read.
        await other.ingest(tenant, upsert(station("EWR", 40, n=4)))
        assert (await current(world, tenant, EWR)).version == 4
        await runs.age(tenant, 5, 31)
        await runs.run(tenant)
        ack = await other.ingest(tenant, upsert(station("JFK", 10)), upsert(station("EWR", 40, n=4)))
        assert (ack.accepted, ack.duplicate) == (2, 0)
    assert (await world.verifier.verify(tenant)).findings == ()


async def test_a_gateway_that_is_too_far_behind_forgets_everything(
    world: World, runs: Runs, tenant: Tenant
) -> None:
    await world.ingest(tenant, upsert(station("EWR", 10)))
    await runs.age(tenant, 1, 31)
    await runs.run(tenant)
    await runs.as_owner(tenant, "DELETE FROM retained_batch WHERE tenant_id = $1")
    ack = await world.ingest(tenant, upsert(station("EWR", 10)))
    assert (ack.accepted, ack.duplicate) == (1, 0)


async def test_a_delete_begins_what_is_left_of_a_chain(world: World, runs: Runs, tenant: Tenant) -> None:
    await world.ingest(tenant, upsert(station("EWR", 10)), upsert(station("EWR", 20, n=2)))
    await world.ingest(tenant, delete("EWR", 30))
    await runs.age(tenant, 2, 31)
    assert (await runs.run(tenant))["stations"]["anchored"] == 1
    version = await current(world, tenant, EWR)
    assert (version.version, version.operation, version.document) == (3, 3, b"")
    await world.ingest(tenant, upsert(station("EWR", 40)))
    assert [entry.version.version for entry in await history(world, tenant, EWR)] == [4, 3]
    assert (await world.verifier.verify(tenant)).findings == ()


async def test_late_versions_outlive_their_chain(world: World, runs: Runs, tenant: Tenant) -> None:
    await world.ingest(tenant, upsert(station("EWR", 100)))
    await world.ingest(tenant, upsert(station("EWR", 50, late=True)))
    await runs.age(tenant, 1, 31)
    await runs.run(tenant)
    assert (await current(world, tenant, EWR)).operation == 4
    # Known still, older than it, at its time, and newer.
    ack = await world.ingest(tenant, upsert(station("EWR", 50, late=True)))
    assert (ack.accepted, ack.duplicate) == (0, 1)
    ack = await world.ingest(tenant, upsert(station("EWR", 40)))
    assert (ack.accepted, ack.duplicate) == (1, 0)
    assert (await history(world, tenant, EWR))[-1].version.operation == 4
    await world.ingest(tenant, delete("EWR", 60))
    version = await current(world, tenant, EWR)
    assert (version.version, version.operation) == (1, 3)
    await world.ingest(tenant, upsert(station("EWR", 70)))
    assert (await current(world, tenant, EWR)).version == 2
    assert (await world.verifier.verify(tenant)).findings == ()


async def test_a_delete_of_what_only_late_versions_say_is_there_without_a_time(
    world: World, runs: Runs, tenant: Tenant
) -> None:
    await world.ingest(tenant, upsert(station("EWR", 100)))
    await world.ingest(tenant, upsert(station("EWR", 50)))
    await runs.age(tenant, 1, 31)
    await runs.run(tenant)
    assert (await world.ingest(tenant, delete("EWR"))).accepted == 1
    assert (await current(world, tenant, EWR)).operation == 3
    assert (await world.ingest(tenant, delete("EWR"))).unchanged == 1
    assert (await world.verifier.verify(tenant)).findings == ()


async def test_the_newest_contract_decides_and_a_hold_holds(world: World, runs: Runs, tenant: Tenant) -> None:
    await world.ingest(tenant, upsert(station("EWR", 10)), upsert(station("JFK", 10)))
    await runs.age(tenant, 2, 31)
    held = contract(tenant.name, version="1.1.0").replace(b"short-30d", b"legal-hold")
    await world.publisher.publish(tenant, held, by=ALICE)
    counts = (await runs.run(tenant))["stations"]
    assert (counts["due"], counts["held"], counts["removed"], counts["cut_us"]) == (0, 2, 0, None)
    assert counts["held_because"] == "the newest contract says legal-hold"
    assert (await feed(world, tenant))[0] == [1, 2]
    lifted = contract(tenant.name, version="1.2.0").replace(b"short-30d", b"ephemeral-7d")
    given = await approved(world, tenant, await document_of(world, tenant, lifted))
    await world.publisher.publish(tenant, lifted, by=ALICE, approval_id=given)
    assert (await runs.run(tenant))["stations"]["removed"] == 2


async def test_a_dry_run_says_what_would_go_and_removes_nothing(
    world: World, runs: Runs, tenant: Tenant
) -> None:
    await world.publisher.publish(
        tenant, contract(tenant.name, "held").replace(b"short-30d", b"legal-hold"), by=ALICE
    )
    await world.ingest(tenant, *(upsert(station("EWR", 10 * n)) for n in range(1, 6)))
    await world.ingest(tenant, upsert(station("EWR", 10)), dataset="held")
    await world.ingest(tenant, upsert({"at": 1}))
    await runs.age(tenant, 4, 31)
    await runs.as_owner(
        tenant, "UPDATE quarantine SET recorded = recorded - interval '31 days' WHERE tenant_id = $1"
    )
    counts = await runs.run(tenant, dry_run=True)
    assert (counts["stations"]["due"], counts["stations"]["quarantine_due"]) == (4, 1)
    assert (counts["held"]["held"], counts["held"]["due"]) == (1, 0)
    assert len((await feed(world, tenant))[0]) == 6
    assert list(await runs.run(tenant, "held", dry_run=True)) == ["held"]


async def test_only_the_datasets_that_are_named_are_touched(world: World, runs: Runs) -> None:
    tenant = await world.tenant("stations", "others")
    for number in range(1, 6):
        await world.ingest(tenant, upsert(station("EWR", number)))
        await world.ingest(tenant, upsert(station("EWR", number)), dataset="others")
    root = (await world.verifier.verify(tenant)).root
    await runs.age(tenant, 8, 31)
    assert (await runs.run(tenant, "stations"))["stations"]["removed"] == 4
    verdict = await world.verifier.verify(tenant)
    assert (verdict.findings, verdict.root) == ((), root)
    assert verdict.removed_ranges == ((1, 1), (3, 3), (5, 5), (7, 7))
    assert await feed(world, tenant) == ([2, 4, 6, 8, 9, 10], 10)
    assert await feed(world, tenant, 2) == ([4, 6, 8, 9, 10], 10)
    await runs.run(tenant)
    verdict = await world.verifier.verify(tenant)
    assert (verdict.findings, verdict.root, verdict.removed_ranges) == ((), root, ((1, 8),))


async def test_quarantine_is_emptied_and_counted_down(world: World, runs: Runs, tenant: Tenant) -> None:
    for _ in range(3):
        await world.ingest(tenant, upsert({"at": 1}), upsert({"at": 2}))
        await world.ingest(tenant, upsert({"nothing": "of it"}))
    await runs.as_owner(
        tenant, "UPDATE quarantine SET recorded = recorded - interval '31 days' WHERE tenant_id = $1"
    )
    await world.ingest(tenant, upsert({"id": 7}))
    counts = (await runs.run(tenant))["stations"]
    assert counts["quarantine_due"] == counts["quarantine_records"]
    async with world.database.read(tenant.tenant_id) as connection:
        records = await connection.fetchval("SELECT count(*) FROM quarantine_record")
        assert records == await connection.fetchval("SELECT quarantined FROM tenant_clock") == 1
        assert await connection.fetchval("SELECT count(*) FROM quarantine") == 1
    # What went is not known any more, and waits again.
    assert (await world.ingest(tenant, upsert({"at": 1}))).quarantine_id


async def test_an_entity_with_more_changes_than_a_batch_goes_in_pieces(
    world: World, runs: Runs, tenant: Tenant
) -> None:
    small = Runs(world, runs.storage, batch_changes=10)
    await world.ingest(tenant, *(upsert(station("EWR", n, n=n)) for n in range(1, 101)))
    await world.ingest(tenant, *(upsert(station(f"S{n}", n)) for n in range(30)))
    before = await history(world, tenant, EWR)
    await runs.age(tenant, 95, 31)
    counts = (await small.run(tenant))["stations"]
    assert counts["removed"] == 95
    assert await history(world, tenant, EWR) == before[:5]
    verdict = await world.verifier.verify(tenant)
    assert (verdict.findings, verdict.removed_ranges) == ((), ((1, 95),))


async def test_a_row_that_was_taken_by_hand_is_still_named(world: World, runs: Runs, tenant: Tenant) -> None:
    await world.ingest(tenant, *(upsert(station(f"S{n}", n)) for n in range(1, 21)))
    await runs.age(tenant, 10, 31)
    await runs.run(tenant)
    await runs.as_owner(tenant, "DELETE FROM entity_change_log WHERE tenant_id = $1 AND seq = 15")
    found = [(each.reason, each.first_seq, each.last_seq) for each in (await verdict(world, tenant))]
    assert found == [("CHANGE_MISSING", 15, 15)]
    with pytest.raises(DataLoss, match="change 15 of the log is corrupt") as caught:
        await feed(world, tenant, 3)
    assert caught.value.metadata == {"seq": "15"}


@pytest.mark.parametrize(
    ("tampering", "reason"),
    [
        ("nodes = set_byte(nodes, 0, get_byte(nodes, 0) # 1)", "ROOT_DIFFERS"),
        ("nodes = substring(nodes FROM 2)", "REMOVED_RANGE_UNFIT"),
        ("last_seq = last_seq + 1", "REMOVED_RANGE_UNFIT"),
        ("first_seq = first_seq + 1", "CHANGE_MISSING"),
    ],
)
async def test_a_range_that_was_altered_is_found(
    world: World, runs: Runs, tenant: Tenant, tampering: str, reason: str
) -> None:
    await world.ingest(tenant, *(upsert(station(f"S{n}", n)) for n in range(1, 21)))
    await runs.age(tenant, 10, 31)
    await runs.run(tenant)
    await runs.as_owner(tenant, f"UPDATE removed_range SET {tampering} WHERE tenant_id = $1")  # noqa: S608
    assert reason in [each.reason for each in await verdict(world, tenant)]


async def test_what_a_run_did_is_an_entry_of_the_ledger(world: World, runs: Runs, tenant: Tenant) -> None:
    await world.ingest(tenant, upsert(station("EWR", 10)))
    await runs.age(tenant, 1, 31)
    await runs.run(tenant)
    async with world.database.write() as connection:
        kinds = [entry.kind for entry in await waiting(connection) if entry.tenant_id == tenant.tenant_id]
    assert [kind for kind in kinds if kind >= 90] == [90, 93, 91]


async def verdict(world: World, tenant: Tenant) -> tuple[Finding, ...]:
    return (await world.verifier.verify(tenant)).findings


async def test_the_database_removes_nothing_early_and_nothing_that_is_held(
    world: World, runs: Runs, tenant: Tenant
) -> None:
    await world.ingest(tenant, upsert(station("EWR", 10)), upsert(station("JFK", 10)))
    await runs.age(tenant, 1, 31)
    remove = "SELECT removed FROM retention_remove($1, 1, $2, 2)"
    entities = b"".join([(await world.entity_id(tenant, seq)).bytes for seq in (1, 2)])
    async with world.database.write() as connection:
        assert await connection.fetchval(remove, tenant.tenant_id, entities) == 1
    held = contract(tenant.name, version="1.1.0").replace(b"short-30d", b"legal-hold")
    await world.publisher.publish(tenant, held, by=ALICE)
    await runs.age(tenant, 2, 4000)
    with pytest.raises(asyncpg.PostgresError, match="held"):
        async with world.database.write() as connection:
            await connection.fetchval(remove, tenant.tenant_id, entities)


def test_a_class_is_what_its_name_says_the_shortest_first() -> None:
    assert list(DAYS.items()) == [
        ("ephemeral-7d", 7),
        ("short-30d", 30),
        ("standard-365d", 365),
        ("long-1825d", 1825),
        ("legal-hold", None),
    ]
    schema = json.loads((ROOT / "crates/contract/schema/ig.contract.v1.schema.json").read_text())
    assert schema["properties"]["retention"]["enum"] == list(DAYS)


@pytest.mark.parametrize(("retention", "days"), DAYS.items())
async def test_the_database_knows_every_class(
    world: World, tenant: Tenant, retention: str, days: int | None
) -> None:
    document = contract(tenant.name, "of-class").replace(b"short-30d", retention.encode())
    await world.publisher.publish(tenant, document, by=ALICE)
    async with world.database.write() as connection:
        kept = await connection.fetchval("SELECT clock_timestamp() - retention_cut($1, 2)", tenant.tenant_id)
    assert (None if kept is None else round(kept.total_seconds() / 86_400)) == days
