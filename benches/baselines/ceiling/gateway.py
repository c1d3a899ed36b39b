"""The ceiling's server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import asyncpg
from asyncpg.pool import Pool

from benches.baselines.ceiling.replay import Replay
from benches.baselines.serving import CREDIT_BYTES, Context, tenant_of
from intelgraph.gateway.v1 import ingest_pb2


class Ceiling:
    """Serves `IngestService.Stream`: each batch is answered once the tenant's next prepared rows are
    committed.

    The rows of a tenant are bound to its one stream: two streams of one tenant would send one buffer twice
    at the same time."""

    def __init__(self, pool: Pool[asyncpg.Record], replay: Replay) -> None:
        self._pool = pool
        self._table = replay.table
        self._columns = replay.columns
        self._buffers = {tenant: replay.buffers_of(tenant) for tenant in replay.buffers}
        self._positions = dict.fromkeys(replay.buffers, 0)

    async def stream(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        """Answers the first message with the last committed sequence and every other with an
        acknowledgement."""
        tenant = tenant_of(context)
        buffers = self._buffers[tenant]
        messages = aiter(requests)
        await anext(messages)
        yield _opened(self._positions[tenant])
        async for _ in messages:
            accepted = await self._store(buffers[self._positions[tenant] % len(buffers)].next())
            self._positions[tenant] += 1
            yield _ack(self._positions[tenant], accepted)

    async def _store(self, rows: memoryview) -> int:
        """Copies the rows in a transaction of their own; returns how many they were."""
        async with self._pool.acquire() as connection:
            status: str = await connection.copy_to_table(
                self._table, source=_single(rows), columns=self._columns, format="binary"
            )
        return int(status.removeprefix("COPY "))


async def _single(rows: memoryview) -> AsyncIterator[bytes]:
    """The rows in one piece. asyncpg writes whatever has a buffer, though its stubs know only bytes."""
    yield cast("bytes", rows)


def _opened(last_committed_sequence: int) -> bytes:
    opened = ingest_pb2.StreamOpened(
        last_committed_sequence=last_committed_sequence, credit_bytes=CREDIT_BYTES
    )
    return ingest_pb2.StreamResponse(opened=opened).SerializeToString()


def _ack(sequence: int, accepted: int) -> bytes:
    ack = ingest_pb2.BatchAck(sequence=sequence, accepted=accepted, credit_bytes=CREDIT_BYTES)
    return ingest_pb2.StreamResponse(ack=ack).SerializeToString()
