"""History: every version, newest first, with what it changed; and the model that it has to agree with."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intelgraph.errors import NotFound
from intelgraph.gateway.v1 import entity_pb2
from intelgraph.storage.change_log import VersionKey
from intelgraph.storage.database import Database
from intelgraph.storage.embedded import EmbeddedServer
from intelgraph.temporal.entities import EntityName, Moment
from intelgraph.tenants.registry import Tenant
from tests.parts.postgres import fresh_database
from tests.temporal.naive_history import Document, NaiveHistory, as_patch, patched
from tests.temporal.world import World, delete, running, upsert

STATION = EntityName("stations", b'"EWR"')


async def history(
    world: World, tenant: Tenant, *, page: int = 500, documents: bool = True
) -> list[entity_pb2.HistoryEntry]:
    """All of it, page by page."""
    entries: list[entity_pb2.HistoryEntry] = []
    before: VersionKey | None = None
    while True:
        answer = await world.entities.history(tenant, STATION, before, page, with_documents=documents)
        found = entity_pb2.HistoryResponse.FromString(answer.entries).entries
        assert 0 < len(found) <= page
        entries += found
        if answer.next is None:
            return entries
        before = answer.next


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """Runs what Hypothesis cannot await."""
    with asyncio.Runner() as running_loop:
        yield running_loop


@pytest.fixture(scope="module")
def shared(
    runner: asyncio.Runner, postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A gateway for many examples; each is a tenant of its own."""
    opened = AsyncExitStack()

    async def started(directory: Path) -> World:
        database = await Database.connect(await opened.enter_async_context(fresh_database(postgres)))
        opened.push_async_callback(database.close)
        return await opened.enter_async_context(running(database, directory))

    yield runner.run(started(tmp_path_factory.mktemp("keys")))
    runner.run(opened.aclose())


documents = st.one_of(
    st.none(),
    st.dictionaries(
        st.sampled_from(["temp", "sky", "crew", "a/b~c"]),
        st.one_of(
            st.integers(-5, 5),
            st.lists(st.sampled_from(["x", "y", "z"]), max_size=4),
            st.lists(st.builds(lambda name, age: {"name": name, "age": age}, st.text("ab", max_size=1),
                               st.integers(0, 2)), max_size=3),
        ),
        max_size=3,
    ),
)  # fmt: skip
records = st.lists(st.tuples(st.integers(1, 8), documents), min_size=1, max_size=40)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=records, batches=st.integers(1, 4), page=st.integers(1, 12))
def test_it_agrees_with_the_rule(
    runner: asyncio.Runner,
    shared: World,
    told: list[tuple[int, Document | None]],
    batches: int,
    page: int,
) -> None:
    runner.run(_agrees(shared, told, batches, page))


async def _agrees(world: World, told: list[tuple[int, Document | None]], batches: int, page: int) -> None:
    tenant = await world.tenant()
    model, seq = NaiveHistory(), 0
    recorded: dict[int, int] = {}
    size = -(-len(told) // batches)
    for start in range(0, len(told), size):
        part = []
        for at, content in told[start : start + size]:
            whole = None if content is None else {"id": "EWR", "at": at, **content}
            part.append(delete("EWR", at) if whole is None else upsert(whole))
            seq += model.take(at, whole, seq + 1)
        ack = await world.ingest(tenant, *part)
        assert ack.accepted + ack.unchanged + ack.duplicate == len(part)
        assert ack.quarantined == 0
        if ack.accepted:
            assert ack.last_change_seq == seq
    if not model.versions:
        return
    entries = await history(world, tenant, page=page)
    assert [entry.version.seq for entry in entries] == [version.seq for version in model.newest_first()]
    before: Document | None = None
    for entry in sorted(entries, key=lambda entry: entry.version.seq):
        version = model.versions[entry.version.seq - 1]
        recorded[version.seq] = entry.version.recorded_us
        assert (entry.version.operation, entry.version.valid_at_us) == (version.operation, version.at_us)
        found = json.loads(entry.version.document) if entry.version.document else None
        assert found == version.document
        if version.in_chain:
            assert patched(before, as_patch(entry.diff)) == found
            assert patched(found, as_patch(entry.diff, reverse=True)) == before
            before = found
        else:
            assert patched(None, as_patch(entry.diff)) == found
    bare = await history(world, tenant, page=page, documents=False)
    assert [entry.diff for entry in bare] == [entry.diff for entry in entries]
    assert not any(entry.version.document for entry in bare)
    await _agrees_at_every_moment(world, tenant, model, recorded)
    verdict = await world.verifier.verify(tenant)
    assert (verdict.changes, verdict.findings) == (seq, ())


async def _agrees_at_every_moment(
    world: World, tenant: Tenant, model: NaiveHistory, recorded: dict[int, int]
) -> None:
    newest = max(recorded)
    for valid_us in (None, 0, 3, 5, 8):
        for seq in (None, 1, newest // 2 or 1, newest):
            expected = model.as_of(valid_us, seq)
            moment = Moment(valid_us=valid_us, recorded_us=None if seq is None else recorded[seq])
            try:
                answer = await world.entities.get(tenant, STATION, moment)
            except NotFound:
                assert expected is None
                continue
            found = entity_pb2.GetResponse.FromString(answer.message).version
            assert expected is not None
            assert found.seq == expected.seq
            assert (json.loads(found.document) if found.document else None) == expected.document
            assert answer.watermark == newest


async def test_documents_end_a_page_before_it_gets_too_large(world: World, tenant: Tenant) -> None:
    large = "x" * 300_000
    told = [{"id": "EWR", "at": at, "n": at, "large": large} for at in range(1, 41)]
    for start in range(0, len(told), 10):
        await world.ingest(tenant, *map(upsert, told[start : start + 10]))
    late = {"id": "EWR", "at": 0, "late": True}
    await world.ingest(tenant, upsert(late))
    pages, before = 0, None
    seen: list[Document] = []
    while True:
        answer = await world.entities.history(tenant, STATION, before, 500, with_documents=True)
        assert len(answer.entries) < 4 << 20
        entries = entity_pb2.HistoryResponse.FromString(answer.entries).entries
        seen += [json.loads(entry.version.document) for entry in entries]
        pages, before = pages + 1, answer.next
        if before is None:
            break
    assert seen == [*reversed(told), late]
    assert pages > 3
    without = await world.entities.history(tenant, STATION, None, 500, with_documents=False)
    assert without.next is None


async def test_a_history_that_is_not_there(world: World, tenant: Tenant) -> None:
    with pytest.raises(NotFound) as caught:
        await world.entities.history(tenant, STATION, None, 50, with_documents=False)
    assert caught.value.reason == "ENTITY_UNKNOWN"
    await world.ingest(tenant, upsert({"id": "EWR", "at": 5}))
    beyond = await world.entities.history(tenant, STATION, VersionKey(5, 1), 50, with_documents=True)
    assert (beyond.entries, beyond.next) == (b"", None)
