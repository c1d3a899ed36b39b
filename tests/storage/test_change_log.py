"""The queries of the change log against a list, on random logs."""

import itertools
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intelgraph.errors import Internal
from intelgraph.storage import change_log
from intelgraph.storage.change_log import VersionKey
from intelgraph.storage.connection import Connection
from tests.storage.conftest import Store
from tests.storage.naive_log import (
    DATASETS,
    ENTITIES,
    MOMENTS_US,
    NaiveLog,
    Row,
    decode,
    logs,
    without_snapshots,
)

EXAMPLES = settings(max_examples=60, deadline=None)
PLACES = list(itertools.product(ENTITIES, DATASETS))
BOUNDS_US = (None, *MOMENTS_US, *(moment + 1 for moment in MOMENTS_US), -(2**63), 2**63 - 1)


@EXAMPLES
@given(
    log=logs(), wanted=st.sets(st.sampled_from(ENTITIES)), dataset=st.sampled_from(DATASETS), data=st.data()
)
def test_heads_come_with_their_chain_and_late_lookups_with_every_row_of_their_time(
    store: Store, log: NaiveLog, wanted: set[UUID], dataset: int, data: st.DataObject
) -> None:
    entities = sorted(wanted)
    late = data.draw(st.lists(st.tuples(st.sampled_from(ENTITIES), st.sampled_from(MOMENTS_US)), unique=True))

    async def fetch() -> bytes:
        tenant_id = await store.tenant_with(log)
        async with store.database.read(tenant_id) as connection:
            return await change_log.fetch_heads(
                connection,
                tenant_id,
                dataset,
                b"".join(entity.bytes for entity in entities),
                b"".join(entity.bytes for entity, _ in late),
                b"".join(at_us.to_bytes(8, signed=True) for _, at_us in late),
            )

    expected = [row for entity in entities for row in log.head(entity, dataset)]
    for entity, at_us in late:
        expected += [row for row in log.entity(entity, dataset) if row.valid_us == at_us]
    rows = decode(store.run(fetch()), fields=10)
    assert sorted(rows, key=lambda row: row.seq) == sorted(expected, key=lambda row: row.seq)


@EXAMPLES
@given(log=logs(), place=st.sampled_from(PLACES), data=st.data())
def test_as_of_is_the_greatest_valid_time_and_seq_within_both_times(
    store: Store, log: NaiveLog, place: tuple[UUID, int], data: st.DataObject
) -> None:
    recorded = [moment for row in log.rows for moment in (row.recorded_us - 1, row.recorded_us)]
    valid_us = data.draw(st.sampled_from(BOUNDS_US))
    recorded_us = data.draw(st.sampled_from([None, -(2**63), 2**63 - 1, *recorded]))

    async def ask() -> change_log.AsOf:
        tenant_id = await store.tenant_with(log)
        async with store.database.read(tenant_id) as connection:
            return await change_log.as_of(
                connection, tenant_id, place[1], place[0], valid_us=valid_us, recorded_us=recorded_us
            )

    answer = store.run(ask())
    assert decode(answer.rows, fields=11) == log.as_of(*place, valid_us, recorded_us)
    assert answer.watermark == len(log.rows)


@EXAMPLES
@given(log=logs(), place=st.sampled_from(PLACES), limit=st.integers(1, 7))
def test_history_pages_hold_every_version_once_with_what_precedes_them(
    store: Store, log: NaiveLog, place: tuple[UUID, int], limit: int
) -> None:
    async def pages() -> list[change_log.HistoryPage]:
        tenant_id = await store.tenant_with(log)
        found: list[change_log.HistoryPage] = []
        before: VersionKey | None = None
        async with store.database.read(tenant_id) as connection:
            while not found or before is not None:
                page = await change_log.history(
                    connection, tenant_id, place[1], place[0], before=before, limit=limit
                )
                found.append(page)
                before = page.next
        return found

    versions: list[Row] = []
    for page in store.run(pages()):
        rows = decode(page.rows, fields=11)
        assert len(rows) <= limit
        oldest = [row for row in rows if row.in_chain][-1:]
        assert decode(page.chain, fields=11) == [row for link in oldest for row in log.chain(link)[:-1]]
        versions += rows
    assert versions == sorted(log.entity(*place), key=lambda row: row.order, reverse=True)


@EXAMPLES
@given(log=logs(), datasets=st.none() | st.sets(st.sampled_from((*DATASETS, 9))), limit=st.integers(1, 9))
def test_the_feed_holds_every_change_once_in_order_and_ends_at_the_watermark(
    store: Store, log: NaiveLog, datasets: set[int] | None, limit: int
) -> None:
    async def feed() -> list[Row]:
        tenant_id = await store.tenant_with(log)
        rows: list[Row] = []
        after = 0
        async with store.database.read(tenant_id) as connection:
            while True:
                changes = await change_log.changes_after(
                    connection,
                    tenant_id,
                    after,
                    dataset_ids=None if datasets is None else sorted(datasets),
                    limit=limit,
                )
                rows += decode(changes.rows, fields=11)
                assert changes.watermark == len(log.rows)
                if changes.resume_after_seq == after:
                    assert after == changes.watermark
                    return rows
                after = changes.resume_after_seq

    wanted = [row for row in log.rows if datasets is None or row.dataset_id in datasets]
    assert store.run(feed()) == without_snapshots(wanted)


@EXAMPLES
@given(log=logs(), limit=st.integers(1, 9), data=st.data())
def test_entities_that_moved_are_read_page_by_page(
    store: Store, log: NaiveLog, limit: int, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(log.rows)))

    async def pages(connection: Connection, tenant_id: UUID) -> tuple[bytes, int]:
        keys, seq = b"", start
        while True:
            page = await change_log.entities_after(connection, tenant_id, seq, limit)
            assert len(page.keys) <= change_log.ENTITY_BYTES * limit
            if page.seq == seq:
                return keys, seq
            keys, seq = keys + page.keys, page.seq

    async def read() -> None:
        tenant_id = await store.tenant_with(log)
        async with store.database.read(tenant_id) as connection:
            assert await pages(connection, tenant_id) == expected
        async with store.database.write() as connection:
            await change_log.lock_clock(connection, tenant_id)
            assert await pages(connection, tenant_id) == expected

    keys = b"".join(row.dataset_id.to_bytes(4) + row.entity_id.bytes for row in log.rows[start:])
    expected = (keys, len(log.rows))
    store.run(read())


@EXAMPLES
@given(
    waiting=st.dictionaries(st.binary(min_size=32, max_size=32), st.uuids(), max_size=8),
    unknown=st.sets(st.binary(min_size=32, max_size=32), max_size=4),
)
def test_known_fingerprints_come_with_their_entry(
    store: Store, waiting: dict[bytes, UUID], unknown: set[bytes]
) -> None:
    asked = [*waiting, *unknown]

    async def ask() -> tuple[bytes, bytes]:
        tenant_id, other = await store.tenant_with(NaiveLog()), await store.tenant_with(NaiveLog())
        async with store.database.write() as connection:
            await connection.executemany(
                "INSERT INTO quarantine_record (tenant_id, fingerprint, quarantine_id, record_index, sealed)"
                " VALUES ($1, $2, $3, 0, '')",
                [(tenant_id, fingerprint, entry) for fingerprint, entry in waiting.items()],
            )
            return (
                await change_log.known_fingerprints(connection, tenant_id, b"".join(asked)),
                await change_log.known_fingerprints(connection, other, b"".join(asked)),
            )

    known, of_another_tenant = store.run(ask())
    pairs = {known[at : at + 32]: UUID(bytes=known[at + 32 : at + 48]) for at in range(0, len(known), 48)}
    assert pairs == waiting
    assert of_another_tenant == b""


@pytest.mark.parametrize(("size", "expected"), [(100, 20), (1000, 10), (20_000, 1)])
def test_a_page_is_bounded_in_bytes_and_never_empty(
    store: Store, monkeypatch: pytest.MonkeyPatch, size: int, expected: int
) -> None:
    monkeypatch.setattr(change_log, "PAGE_BYTES", 10_000)
    log = NaiveLog()
    for hour in range(20):
        log.change(ENTITIES[0], 1, hour, 1, delete=False, snapshot=False)
    log.rows = [replace(row, sealed=bytes(size)) for row in log.rows]

    async def ask() -> tuple[change_log.Changes, change_log.HistoryPage]:
        tenant_id = await store.tenant_with(log)
        async with store.database.read(tenant_id) as connection:
            return (
                await change_log.changes_after(connection, tenant_id, 0, dataset_ids=None, limit=50),
                await change_log.history(connection, tenant_id, 1, ENTITIES[0], before=None, limit=50),
            )

    changes, page = store.run(ask())
    assert len(decode(changes.rows, fields=11)) == expected == changes.resume_after_seq
    assert len(decode(page.rows, fields=11)) == expected
    assert (page.next is None) == (expected == 20)


def test_a_tenant_without_a_clock_is_an_error_and_not_an_empty_answer(store: Store) -> None:
    stranger = uuid4()

    async def lock() -> None:
        async with store.database.write() as connection:
            await change_log.lock_clock(connection, stranger)

    async def feed() -> None:
        async with store.database.read(stranger) as connection:
            await change_log.changes_after(connection, stranger, 0, dataset_ids=None, limit=1)

    for ask in (lock, feed):
        with pytest.raises(Internal) as caught:
            store.run(ask())
        assert caught.value.reason == "CLOCK_MISSING"
