"""Both connections of a stream have a batch in one group: the older is left out of it, and the newer commits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
import pytest_asyncio

from intelgraph.ingest import positions
from intelgraph.ingest.committer import TenantCommitter
from intelgraph.ingest.lane import Submission
from intelgraph.ingest.positions import Position
from intelgraph.storage.connection import reachable
from tests.faults.in_process import InProcess, in_process
from tests.faults.wire import EndedWithStatus, RawGateway

_BATCHES = """
SELECT batch_sequence, count(*)::int AS rows FROM entity_change_log JOIN ingest_stream USING (tenant_id, stream_no)
WHERE stream_id = 'taken over' GROUP BY 1 ORDER BY 1
"""


_AWAITED = "SELECT count(*) FROM pg_locks WHERE NOT granted"


class Watched:
    """What reached the committer, and what each of its transactions moved."""

    def __init__(self) -> None:
        self.submitted = 0
        self.groups: list[list[Position]] = []

    async def until_submitted(self, count: int) -> None:
        async with asyncio.timeout(30):
            while self.submitted < count:  # noqa: ASYNC110 (nobody is told)
                await asyncio.sleep(0.01)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    seen = Watched()
    submit, advance = TenantCommitter.submit, positions.advance

    def submitting(committer: TenantCommitter, submission: Submission) -> None:
        submit(committer, submission)
        seen.submitted += 1

    async def advancing(connection: Any, tenant_id: Any, clock: Any, targets: Sequence[Position]) -> Any:
        seen.groups.append(list(targets))
        return await advance(connection, tenant_id, clock, targets)

    monkeypatch.setattr(TenantCommitter, "submit", submitting)
    monkeypatch.setattr(positions, "advance", advancing)
    return seen


@pytest_asyncio.fixture
async def gateway(watched: Watched, data_dir: Path) -> AsyncIterator[InProcess]:
    async with in_process(data_dir) as serving:
        yield serving


@asynccontextmanager
async def _administrator(gateway: InProcess) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(reachable(gateway.server.dsn("postgres", "intelgraph")))
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def _clock_held(gateway: InProcess) -> AsyncIterator[Callable[[], Any]]:
    """Nobody commits while the block runs; gives what returns once somebody tries."""
    async with _administrator(gateway) as holder, _administrator(gateway) as observer:

        async def until_awaited() -> None:
            async with asyncio.timeout(30):
                while not await observer.fetchval(_AWAITED):  # noqa: ASYNC110 (a lock tells nobody)
                    await asyncio.sleep(0.01)

        async with holder.transaction():
            await holder.execute("SELECT FROM tenant_clock FOR UPDATE")
            yield until_awaited


def _record(value: int) -> bytes:
    return json.dumps({"sensor": "one", "value": value}).encode()


def _elsewhere(value: int) -> bytes:
    return json.dumps({"sensor": "elsewhere", "value": value}).encode()


@pytest.mark.parametrize("older_first", [True, False])
async def test_of_two_connections(gateway: InProcess, watched: Watched, older_first: bool) -> None:
    async with (
        RawGateway.at(gateway.address) as raw,
        raw.stream(gateway.token) as old,
        raw.stream(gateway.token) as new,
        raw.stream(gateway.token) as other,
    ):
        await other.open("other")
        await old.open("taken over")
        await old.send(1, [_record(1)])
        await old.acked()
        # Opening waits for the clock: both are open before it is held.
        assert (await new.open("taken over")).last_committed_sequence == 1
        async with _clock_held(gateway) as until_awaited:
            # The committer is busy with one group, and has another ready: what comes now waits for the one after.
            await other.send(1, [_elsewhere(1)])
            await until_awaited()
            await other.send(2, [_elsewhere(2)])
            await watched.until_submitted(3)
            await asyncio.sleep(0.2)
            sendings = [(old, [(2, 2), (3, 3)]), (new, [(2, 20), (3, 30)])]
            for stream, batches in sendings if older_first else reversed(sendings):
                for sequence, value in batches:
                    submitted = watched.submitted
                    await stream.send(sequence, [_record(value)])
                    await watched.until_submitted(submitted + 1)
            before = len(watched.groups)
        for sequence in (2, 3):
            ack = await new.acked()
            assert (ack.sequence, ack.accepted) == (sequence, 1)
        with pytest.raises(EndedWithStatus) as fenced:
            await old.read()
        assert (fenced.value.code, fenced.value.reason) == (grpc.StatusCode.ABORTED, "STREAM_FENCED")
        for _ in range(2):
            await other.acked()
        epochs = [{target.epoch for target in group} for group in watched.groups[before:]]
        # Two groups of the other stream; then both connections', in which nothing stays; then the newer's alone.
        assert epochs == [{1}, {1}, {1, 2}, {2}]
        await new.send(4, [_record(30)])
        ack = await new.acked()
        assert (ack.accepted, ack.unchanged) == (0, 1)
    async with _administrator(gateway) as administrator:
        assert [tuple(row) for row in await administrator.fetch(_BATCHES)] == [(1, 1), (2, 1), (3, 1)]
