"""Changes: each once, in order, from anywhere on, however they are committed."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from intelgraph.errors import NotFound, OutOfRange, PermissionDenied
from intelgraph.gateway.v1 import entity_pb2
from intelgraph.storage import change_log
from intelgraph.storage.database import Database
from intelgraph.temporal import commit_watch, feed
from intelgraph.tenants.registry import Tenant
from tests.temporal.world import Document, World, delete, running, upsert


async def changes(
    world: World, tenant: Tenant, after_seq: int = 0, *datasets: str
) -> tuple[list[entity_pb2.HistoryEntry], int]:
    """The feed until now, and where it is to be resumed."""
    entries: list[entity_pb2.HistoryEntry] = []
    resume = after_seq
    async for part in world.feed.changes(tenant, after_seq, datasets, until_now=True):
        entries += entity_pb2.ChangesResponse.FromString(part.entries).entries
        resume = part.resume_after_seq
    return entries, resume


def seqs(entries: Sequence[entity_pb2.HistoryEntry]) -> list[int]:
    """Which changes they are."""
    return [entry.version.seq for entry in entries]


def station(number: int) -> Document:
    """A document of a station of its own."""
    return {"id": f"s{number}", "at": number, "n": number}


async def test_it_gives_every_change_with_what_it_changed(world: World, tenant: Tenant) -> None:
    await world.ingest(tenant, upsert({"id": "EWR", "at": 2, "n": 1}), upsert({"id": "EWR", "at": 3, "n": 2}))
    await world.ingest(tenant, upsert({"id": "EWR", "at": 1, "n": 0}), delete("EWR", 4))
    entries, resume = await changes(world, tenant)
    assert seqs(entries) == [1, 2, 3, 4]
    assert resume == 4
    assert [entry.version.operation for entry in entries] == [1, 2, 4, 3]
    assert [json.loads(entry.diff) for entry in entries] == [
        [["a", "", {"at": 2, "id": "EWR", "n": 1}]],
        [["r", "/at", 2, 3], ["r", "/n", 1, 2]],
        [["a", "", {"at": 1, "id": "EWR", "n": 0}]],
        [["d", "", {"at": 3, "id": "EWR", "n": 2}]],
    ]
    published = await world.contracts.get(tenant, "stations")
    assert {(entry.version.dataset, entry.version.contract_digest) for entry in entries} == {
        ("stations", published.digest)
    }
    assert not any(entry.version.document for entry in entries)
    for after in range(5):
        assert seqs((await changes(world, tenant, after))[0]) == [1, 2, 3, 4][after:]


async def test_it_passes_other_datasets_over_and_says_how_far(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PAGE_CHANGES", 3)
    tenant = await world.tenant("stations", "sensors")
    await world.ingest(tenant, upsert(station(1)))
    for number in range(10):
        await world.ingest(tenant, upsert(station(number)), dataset="sensors")
    entries, resume = await changes(world, tenant, 0, "stations")
    assert (seqs(entries), resume) == ([1], 11)
    assert (await changes(world, tenant, resume, "stations")) == ([], 11)
    both, _ = await changes(world, tenant, 0, "stations", "sensors")
    assert seqs(both) == list(range(1, 12))
    with pytest.raises(NotFound):
        await changes(world, tenant, 0, "planes")
    # What only passes over is told now and then, not with every page.
    parts = [part async for part in world.feed.changes(tenant, 1, ["stations"], until_now=True)]
    assert [part.resume_after_seq for part in parts] == [4, 7, 10, 11]


async def test_large_changes_come_in_several_messages(world: World, tenant: Tenant) -> None:
    for start in range(0, 12, 3):
        await world.ingest(
            tenant, *(upsert({**station(number), "x": "x" * 900_000}) for number in range(start, start + 3))
        )
    parts = [part async for part in world.feed.changes(tenant, 0, [], until_now=True)]
    assert len(parts) > 3
    assert all(len(part.entries) < 4 << 20 for part in parts)
    found = [entity_pb2.ChangesResponse.FromString(part.entries).entries for part in parts]
    assert [seq for entries in found for seq in seqs(entries)] == list(range(1, 13))
    assert [part.resume_after_seq for part in parts] == [entries[-1].version.seq for entries in found]


async def test_an_empty_log_and_an_end_that_is_not_there(world: World, tenant: Tenant) -> None:
    assert await changes(world, tenant) == ([], 0)
    await world.ingest(tenant, upsert(station(1)))
    assert await changes(world, tenant, 1) == ([], 1)
    with pytest.raises(OutOfRange) as caught:
        await changes(world, tenant, 2)
    assert caught.value.reason == "SEQ_BEYOND_LOG"
    assert caught.value.metadata == {"last_seq": "1"}


async def test_another_tenant_sees_nothing(world: World, tenant: Tenant) -> None:
    await world.ingest(tenant, upsert(station(1)))
    assert await changes(world, await world.tenant()) == ([], 0)


async def follow(
    world: World, tenant: Tenant, after_seq: int, until: int, into: list[int], take: int = 10**9
) -> int:
    """Follows the feed until change `until` or for `take` messages; gives where to resume."""
    resume = after_seq
    async with aclosing(_parts(world, tenant, after_seq)) as parts:
        async for part in parts:
            into += seqs(entity_pb2.ChangesResponse.FromString(part.entries).entries)
            resume = part.resume_after_seq
            take -= 1
            if resume >= until or take == 0:
                return resume
    raise AssertionError("the feed has no end")


async def _parts(world: World, tenant: Tenant, after_seq: int) -> AsyncGenerator[feed.FeedPart, None]:
    async for part in world.feed.changes(tenant, after_seq, [], until_now=False):
        yield part


async def test_it_waits_for_what_is_committed_here(world: World, tenant: Tenant) -> None:
    seen: list[int] = []
    following = asyncio.create_task(follow(world, tenant, 0, 3, seen))
    for number in range(3):
        await asyncio.sleep(0.02)
        await world.ingest(tenant, upsert(station(number)))
    assert await asyncio.wait_for(following, 10) == 3
    assert seen == [1, 2, 3]


async def test_this_process_tells_of_its_commits_without_being_polled(
    world: World, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_watch, "POLL_SECONDS", 3600)
    seen: list[int] = []
    following = asyncio.create_task(follow(world, tenant, 0, 1, seen))
    await asyncio.sleep(0.1)
    await world.ingest(tenant, upsert(station(1)))
    assert await asyncio.wait_for(following, 10) == 1


async def test_it_sees_what_another_gateway_commits(
    world: World, tenant: Tenant, database: Database, tmp_path: Path
) -> None:
    seen: list[int] = []
    following = asyncio.create_task(follow(world, tenant, 0, 4, seen))
    async with running(database, tmp_path / "keys") as other:
        for number in range(4):
            await (other, world)[number % 2].ingest(tenant, upsert(station(number)))
        assert await asyncio.wait_for(following, 10) == 4
    assert seen == [1, 2, 3, 4]


async def test_each_change_comes_once_while_several_streams_commit(
    world: World, tenant: Tenant, database: Database, tmp_path: Path
) -> None:
    """Followers that leave and come back, two gateways, streams that all commit at the same time."""
    streams, batches, size = 4, 12, 5
    total = streams * batches * size

    async def send(gateway: World, stream: int) -> None:
        for batch in range(batches):
            first = (stream * batches + batch) * size
            await gateway.ingest(tenant, *(upsert(station(first + each)) for each in range(size)))

    async def come_and_go(take: int) -> list[int]:
        seen: list[int] = []
        resume = 0
        while resume < total:
            resume = await follow(world, tenant, resume, total, seen, take)
        return seen

    async with (
        running(database, tmp_path / "keys") as other,
        asyncio.timeout(60),
        asyncio.TaskGroup() as group,
    ):
        followers = [group.create_task(come_and_go(take)) for take in (1, 2, 3, 10**9)]
        for stream in range(streams):
            group.create_task(send((world, other)[stream % 2], stream))
    for follower in followers:
        assert follower.result() == list(range(1, total + 1))


async def test_a_slow_reader_is_not_read_ahead_for(
    world: World, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "PAGE_CHANGES", 1)
    for number in range(5):
        await world.ingest(tenant, upsert(station(number)))
    queries = 0
    changes_after = change_log.changes_after

    async def counted(*arguments: Any, **options: Any) -> change_log.Changes:
        nonlocal queries
        queries += 1
        return await changes_after(*arguments, **options)

    monkeypatch.setattr(change_log, "changes_after", counted)
    async with aclosing(_parts(world, tenant, 0)) as parts:
        await anext(parts)
        await asyncio.sleep(0.1)
        assert queries == 1
        await anext(parts)
        assert queries == 2


async def test_a_feed_that_stands_still_ends_when_its_tenant_is_suspended(
    world: World, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "SERVED_SECONDS", 0.05)
    following = asyncio.create_task(follow(world, tenant, 0, 1, []))
    await asyncio.sleep(0.2)
    assert not following.done()
    world.unserved[tenant.name] = PermissionDenied("TENANT_SUSPENDED", "suspended", fix="")
    with pytest.raises(PermissionDenied):
        await asyncio.wait_for(following, 10)
    # Nobody follows any more, and nobody is polled for.
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("watch")]


async def test_a_restart_of_the_database_is_a_pause(
    world: World, tenant: Tenant, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_watch, "POLL_SECONDS", 0.01)
    seen: list[int] = []
    following = asyncio.create_task(follow(world, tenant, 0, 1, seen))
    await asyncio.sleep(0.05)
    for _ in range(5):
        await database.reader.expire_connections()
        async with database.write() as connection:
            await connection.execute("SELECT 1")
        await asyncio.sleep(0.02)
    assert not following.done()
    await world.ingest(tenant, upsert(station(1)))
    assert await asyncio.wait_for(following, 10) == 1
