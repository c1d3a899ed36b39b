"""Random histories and cuts: what is kept reads as before, byte for byte; ingest goes on as the naive log says."""

import random
from pathlib import Path

import pytest

from intelgraph.errors import NotFound
from intelgraph.gateway.v1 import entity_pb2, ingest_pb2
from intelgraph.storage.database import Database
from intelgraph.storage.settings import StorageSettings
from intelgraph.temporal.entities import EntityName, Moment
from intelgraph.tenants.registry import Tenant
from tests.retention.naive_log import NaiveLog, counts
from tests.retention.runs import ALICE, Runs
from tests.temporal.world import World, contract, delete, running, upsert

KEYS = ["A", "B", "C", "D"]
DATASETS = ["stations", "lasting"]
SHORT = {"stations"}
Entries = dict[tuple[str, str], list[entity_pb2.HistoryEntry]]


async def ingest(world: World, tenant: Tenant, naive: NaiveLog, moments: random.Random) -> None:
    """One random batch, whose outcomes are those of the naive log."""
    dataset = moments.choice(DATASETS)
    records: list[ingest_pb2.Record] = []
    outcomes = []
    for _ in range(moments.randint(1, 6)):
        key, at = moments.choice(KEYS), moments.randint(1, 12)
        if moments.random() < 0.2:
            records.append(delete(key, at))
            outcomes.append(naive.take(dataset, key, None, at))
        else:
            # Beside so long a text diffs are small: chains get long.
            document = {"id": key, "at": at, "n": moments.randint(1, 3), "text": "x" * 300}
            records.append(upsert(document))
            outcomes.append(naive.take(dataset, key, document, at))
    ack = await world.ingest(tenant, *records, dataset=dataset)
    assert (ack.accepted, ack.unchanged, ack.duplicate) == counts(outcomes)


async def histories(world: World, tenant: Tenant) -> Entries:
    """All entries of all entities, newest first, with their documents."""
    found: Entries = {}
    for dataset in DATASETS:
        for key in KEYS:
            try:
                page = await world.entities.history(
                    tenant, EntityName(dataset, f'"{key}"'.encode()), None, 500, with_documents=True
                )
            except NotFound:
                found[dataset, key] = []
            else:
                found[dataset, key] = list(entity_pb2.HistoryResponse.FromString(page.entries).entries)
    return found


def answering(entries: list[entity_pb2.HistoryEntry], moment: Moment) -> entity_pb2.EntityVersion | None:
    """The version that answers for a moment."""
    admitted = [
        entry.version
        for entry in entries
        if (moment.valid_us is None or entry.version.valid_at_us <= moment.valid_us)
        and (moment.recorded_us is None or entry.version.recorded_us <= moment.recorded_us)
    ]
    return max(admitted, key=lambda version: (version.valid_at_us, version.seq), default=None)


def some_moment(entries: list[entity_pb2.HistoryEntry], moments: random.Random) -> Moment:
    """Around the times of some versions."""
    recorded = [entry.version.recorded_us for entry in entries] or [0]
    return Moment(
        recorded_us=moments.choice([None, moments.choice(recorded) + moments.randint(-1, 1)]),
        valid_us=moments.choice([None, moments.randint(0, 13)]),
    )


async def reads_as(world: World, tenant: Tenant, kept: Entries, moments: random.Random) -> None:
    """History, as-of, diff and feed are what the kept entries say."""
    assert await histories(world, tenant) == kept
    for (dataset, key), entries in kept.items():
        entity = EntityName(dataset, f'"{key}"'.encode())
        for _ in range(3):
            before, after = some_moment(entries, moments), some_moment(entries, moments)
            versions = [answering(entries, before), answering(entries, after)]
            try:
                answer = await world.entities.get(tenant, entity, before)
            except NotFound:
                assert versions[0] is None
            else:
                assert entity_pb2.GetResponse.FromString(answer.message).version == versions[0]
            if any(version is not None for version in versions):
                answer = await world.entities.diff(tenant, entity, before, after)
                diff = entity_pb2.DiffResponse.FromString(answer.message)
                assert [getattr(diff, "from"), diff.to] == [
                    version or entity_pb2.EntityVersion() for version in versions
                ]
    of_feed: dict[int, entity_pb2.HistoryEntry] = {}
    async for part in world.feed.changes(tenant, 0, [], until_now=True):
        for entry in entity_pb2.ChangesResponse.FromString(part.entries).entries:
            of_feed[entry.version.seq] = entry
    for entries in kept.values():
        for entry in entries:
            entry.version.document = b""  # the feed has changes only
            assert of_feed[entry.version.seq] == entry
    assert len(of_feed) == sum(map(len, kept.values()))
    assert list(of_feed) == sorted(of_feed)


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_kept_reads_as_before_and_ingest_goes_on(
    database: Database, storage_settings: StorageSettings, tmp_path: Path, seed: int
) -> None:
    moments = random.Random(seed)  # noqa: S311 (no secret)
    naive = NaiveLog()
    async with running(database, tmp_path / "keys") as here, running(database, tmp_path / "keys") as there:
        tenant = await here.tenant("stations")
        lasting = contract(tenant.name, "lasting").replace(b"short-30d", b"standard-365d")
        await here.publisher.publish(tenant, lasting, by=ALICE)
        runs = Runs(here, storage_settings, batch_changes=moments.choice([2, 7, 1000]))
        for _ in range(3):
            for _ in range(moments.randint(4, 14)):
                await ingest(moments.choice([here, there]), tenant, naive, moments)
            cut = moments.randint(0, naive.seq)
            await runs.age(tenant, cut, 31)
            before = await histories(here, tenant)
            root = (await here.verifier.verify(tenant)).root
            counted = await runs.run(tenant)
            removed = naive.cut(SHORT, cut)
            assert counted["stations"]["removed"] == removed
            assert counted["lasting"]["removed"] == 0
            kept = {
                (dataset, key): [
                    entry for entry in entries if dataset not in SHORT or entry.version.seq > cut
                ]
                for (dataset, key), entries in before.items()
            }
            verdict = await here.verifier.verify(tenant)
            assert (verdict.findings, verdict.root) == ((), root)
            await reads_as(here, tenant, kept, moments)
        for _ in range(6):
            await ingest(moments.choice([here, there]), tenant, naive, moments)
        left = {
            key: [(each.seq, each.valid_at) for each in entity.versions]
            for key, entity in naive.entities.items()
        }
        for key, entries in (await histories(there, tenant)).items():
            stored = sorted((entry.version.seq, entry.version.valid_at_us) for entry in entries)
            assert stored == left.get(key, [])
        assert (await here.verifier.verify(tenant)).findings == ()
