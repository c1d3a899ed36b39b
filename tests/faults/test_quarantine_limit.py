"""A full quarantine makes producers wait: what has no room is not consumed, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2

from intelgraph.client import TenantLimits
from intelgraph.ingest import quarantine_limit
from intelgraph.ingest.lane import Lane, Submission
from intelgraph.ingest.positions import Position
from intelgraph.ingest.quarantine_limit import beyond_limit
from intelgraph.storage.connection import reachable
from tests.faults.gateway import TENANT, GatewayProcess
from tests.faults.in_process import InProcess, in_process
from tests.faults.load import CONTRACT, DATASET
from tests.faults.wire import RawGateway, RawStream

_RETRY_SECONDS = 0.1


@pytest_asyncio.fixture
async def gateway(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcess]:
    monkeypatch.setattr(quarantine_limit, "RETRY_SECONDS", _RETRY_SECONDS)
    async with in_process(data_dir) as serving:
        yield serving


def _good(sensor: str = "") -> bytes:
    return json.dumps({"sensor": sensor or str(uuid4()), "value": 1}).encode()


def _bad(count: int = 1) -> list[bytes]:
    return [json.dumps({"sensor": str(uuid4()), "value": "no number"}).encode() for _ in range(count)]


async def _limit(gateway: InProcess | GatewayProcess, records: int) -> None:
    async with gateway.client() as client:
        await client.tenants.set_limits(TENANT, TenantLimits(quarantine_records=records))


async def _waiting(superuser_dsn: str) -> tuple[int, int, int]:
    """As the clock has it, as the entries have it, and as there are."""
    connection = await asyncpg.connect(reachable(superuser_dsn.replace("/postgres?", "/intelgraph?")))
    try:
        row = await connection.fetchrow(
            "SELECT (SELECT sum(quarantined) FROM tenant_clock)::int, (SELECT sum(records) FROM quarantine)::int,"
            " (SELECT count(*) FROM quarantine_record)::int"
        )
    finally:
        await connection.close()
    assert row is not None
    counted, listed, stored = row
    return counted, listed or 0, stored


async def _refused(stream: RawStream, sequence: int) -> error_details_pb2.ErrorInfo:
    rejected, reason = await stream.rejected()
    assert (rejected.sequence, rejected.consumed, reason) == (sequence, False, "QUARANTINE_FULL")
    assert rejected.status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert any(detail.Unpack(info) for detail in rejected.status.details)
    assert any(detail.Unpack(retry) for detail in rejected.status.details)
    assert retry.retry_delay.ToNanoseconds() == _RETRY_SECONDS * 1e9
    return info


async def test_what_has_no_room_is_not_consumed(gateway: InProcess) -> None:
    await _limit(gateway, 3)
    first, second = _bad(2), _bad(2)
    async with (
        RawGateway.at(gateway.address) as raw,
        raw.stream(gateway.token) as stream,
        raw.stream(gateway.token) as other,
    ):
        await stream.open("full")
        await other.open("other")
        await stream.send(1, first)
        assert (await stream.acked()).quarantined == 2
        await stream.send(2, [_good(), *second])
        await stream.send(3, [_good()])
        info = await _refused(stream, 2)
        assert (info.metadata["limit"], info.metadata["waiting"], info.metadata["most"]) == (
            "quarantine_records",
            "2",
            "3",
        )
        assert "intelgraph tenants limits" in info.metadata["fix"]
        rejected, reason = await stream.rejected()
        assert (rejected.sequence, rejected.consumed, reason) == (3, False, "BATCH_OUT_OF_TURN")
        # The others go on: with what breaks no contract, what fits, and what waits already.
        await other.send(1, [_good(), *_bad(1), *first])
        ack = await other.acked()
        assert (ack.accepted, ack.quarantined) == (1, 3)
        assert await _waiting(gateway.server.dsn("postgres")) == (3, 3, 3)
        # The connection that waits sees the new limit.
        await _limit(gateway, 5)
        await stream.send(2, [_good(), *second])
        ack = await stream.acked()
        assert (ack.accepted, ack.quarantined) == (1, 2)
        await _limit(gateway, 0)
        await stream.send(3, _bad(1))
        assert (await _refused(stream, 3)).metadata["most"] == "0"
        await stream.send(3, [_good()])
        assert (await stream.acked()).accepted == 1
    assert await _waiting(gateway.server.dsn("postgres")) == (5, 5, 5)


async def test_a_client_waits_for_room_and_loses_nothing(gateway: InProcess) -> None:
    await _limit(gateway, 0)
    async with gateway.client() as client, client.stream(DATASET, "patient", producer="raw") as stream:
        for _ in range(3):
            await stream.send([json.loads(record) for record in (_good(), *_bad(4))])
        flushing = asyncio.create_task(stream.flush(60))
        await asyncio.sleep(5 * _RETRY_SECONDS)
        assert not flushing.done()
        await _limit(gateway, 12)
        await flushing
        assert (stream.totals.accepted, stream.totals.quarantined) == (3, 12)
    assert await _waiting(gateway.server.dsn("postgres")) == (12, 12, 12)


async def test_two_gateways_count_together(two_gateways: tuple[GatewayProcess, GatewayProcess]) -> None:
    first, second = two_gateways
    async with first.client() as client:
        await client.contracts.put(CONTRACT)
    await _limit(first, 20)
    await asyncio.sleep(2.0)  # by then both have read the limit

    async def send_until_refused(gateway: GatewayProcess) -> int:
        token = gateway.token()()
        assert isinstance(token, str)
        async with RawGateway.at(gateway.address) as raw, raw.stream(token) as stream:
            await stream.open(str(uuid4()))
            for sequence in range(1, 30):
                await stream.send(sequence, _bad(3))
                answer = await stream.read()
                if answer.WhichOneof("message") == "rejected":
                    return sequence - 1
        return 0

    acknowledged = await asyncio.gather(*(send_until_refused(each) for each in (first, second, first)))
    assert sum(acknowledged) == 6
    assert await _waiting(first.superuser_dsn) == (18, 18, 18)


def test_what_fits_behind_what_does_not_goes_on() -> None:
    class Batch:
        """Stands for a prepared one, which this never looks into."""

    def submissions() -> list[Submission]:
        return [
            Submission(Lane(1), 0, Position(number, 1, 1), None if number == 2 else Batch(), 0, reply=None)  # type: ignore[arg-type] # neither is looked into
            for number in range(6)
        ]

    sent = submissions()
    beyond = beyond_limit(sent, [2, 4, 0, 1, 1], room=3)
    assert [submission.target.stream_no for submission in beyond] == [1, 5]
