"""A data key's row that is gone is loss of data: the connector is told so, and is not asked to try again."""

from __future__ import annotations

import json
from pathlib import Path

import asyncpg
import grpc
import pytest

from intelgraph.storage.connection import reachable
from tests.faults.in_process import InProcess, in_process
from tests.faults.wire import EndedWithStatus, RawGateway


def _record(value: int) -> bytes:
    return json.dumps({"sensor": "one", "value": value}).encode()


async def _execute(gateway: InProcess, *statements: str) -> None:
    """Does what no role of the gateway may do."""
    connection = await asyncpg.connect(reachable(gateway.server.dsn("postgres", "intelgraph")))
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def _send(gateway: InProcess, value: int) -> int:
    """Sends the next batch of the one stream; gives how many changes it made."""
    async with RawGateway.at(gateway.address) as raw, raw.stream(gateway.token) as stream:
        opened = await stream.open("one")
        await stream.send(opened.last_committed_sequence + 1, [_record(value)])
        ack = await stream.acked()
        assert ack.sequence == opened.last_committed_sequence + 1
        return ack.accepted


async def test_every_time_and_until_it_is_restored(data_dir: Path) -> None:
    async with in_process(data_dir) as gateway:
        assert await _send(gateway, 1) == 1
    async with in_process(data_dir) as gateway:  # has no head in memory
        # In a schema of its own: the gateway refuses a database whose tables do not keep tenants apart.
        await _execute(
            gateway,
            "CREATE SCHEMA backup",
            "CREATE TABLE backup.data_key AS TABLE data_key",
            "DELETE FROM data_key",
        )
        # The first time the row is looked for. Then it is remembered not to be there, and the answer is the same.
        for _ in range(3):
            with pytest.raises(EndedWithStatus) as lost:
                await _send(gateway, 2)
            assert (lost.value.code, lost.value.reason) == (grpc.StatusCode.DATA_LOSS, "DATA_KEY_LOST")
        await _execute(gateway, "INSERT INTO data_key TABLE backup.data_key", "DROP SCHEMA backup CASCADE")
    async with in_process(data_dir) as gateway:
        assert await _send(gateway, 2) == 1
