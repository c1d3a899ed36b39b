"""What an operator changes of a tenant holds for the streams that are open, within two seconds."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import asyncpg
import grpc
import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from intelgraph.client import AsyncClient, TenantLimits
from intelgraph.gateway.local_identity import LocalIssuer
from intelgraph.ingest import intake
from intelgraph.storage.connection import reachable
from tests.faults.gateway import GatewayProcess
from tests.faults.in_process import InProcess, in_process
from tests.faults.load import CONTRACT
from tests.faults.wire import EndedWithStatus, RawGateway, RawStream

_SECONDS = 2.0
"""What docs/operators.md promises."""


@pytest_asyncio.fixture
async def gateway(data_dir: Path) -> AsyncIterator[InProcess]:
    async with in_process(data_dir) as serving:
        yield serving


@pytest_asyncio.fixture
async def stream(gateway: InProcess) -> AsyncIterator[RawStream]:
    async with RawGateway.at(gateway.address) as raw, raw.stream(gateway.token) as opened:
        await opened.open("one")
        yield opened


def _records(count: int, size: int = 1) -> list[bytes]:
    return [json.dumps({"sensor": str(uuid4()), "value": 1, "by": "x" * size}).encode() for _ in range(count)]


async def _limit(gateway: InProcess, limits: TenantLimits) -> None:
    async with gateway.client() as client:
        await client.tenants.set_limits("local", limits)


async def _seconds(work: Awaitable[object]) -> float:
    began = time.monotonic()
    await work
    return time.monotonic() - began


async def _until(holds: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < _SECONDS
        await asyncio.sleep(0.02)


async def test_the_rate_of_records(gateway: InProcess, stream: RawStream) -> None:
    await stream.send(1, _records(1000))
    await stream.acked()
    await _limit(gateway, TenantLimits(records_per_second=1))
    await asyncio.sleep(_SECONDS)
    await stream.send(2, _records(1))  # a second's worth
    await stream.acked()
    await stream.send(3, _records(600))  # ten minutes' worth
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting := asyncio.ensure_future(stream.acked())), 1.0)
    await _limit(gateway, TenantLimits(records_per_second=0))
    assert await _seconds(waiting) < _SECONDS


async def test_bytes_in_flight(gateway: InProcess, stream: RawStream) -> None:
    def in_flight() -> float:
        return REGISTRY.get_sample_value("intelgraph_ingest_bytes_in_flight") or 0.0

    await _limit(gateway, TenantLimits(bytes_in_flight=4 << 20))
    await asyncio.sleep(_SECONDS)
    connection = await asyncpg.connect(reachable(gateway.server.dsn("postgres", "intelgraph")))
    async with connection.transaction():  # which keeps everything in flight
        await connection.execute("SELECT FROM tenant_clock FOR UPDATE")
        for sequence in range(1, 4):
            await stream.send(sequence, _records(2, 750_000))
        await asyncio.sleep(_SECONDS)
        assert 3_000_000 < in_flight() <= 4 << 20
        await _limit(gateway, TenantLimits(bytes_in_flight=64 << 20))
        await _until(lambda: in_flight() > 4_500_000)
    await connection.close()
    assert [(await stream.acked()).accepted for _ in range(3)] == [2, 2, 2]


async def test_the_share_of_the_heads_cache(gateway: InProcess, stream: RawStream) -> None:
    def cached() -> float:
        return REGISTRY.get_sample_value("intelgraph_ingest_cached_bytes") or 0.0

    for sequence in (1, 2):
        await stream.send(sequence, _records(200, 15_000))
        await stream.acked()
    await _until(lambda: cached() > 6_000_000)
    await _limit(gateway, TenantLimits(cache_share_percent=1))
    await _until(lambda: 0 < cached() <= (256 << 20) / 100)


async def test_suspension_ends_the_streams_of_every_gateway(
    two_gateways: tuple[GatewayProcess, GatewayProcess],
) -> None:
    here, there = two_gateways
    async with here.client() as operator:
        await operator.tenants.create("acme")
        async with AsyncClient(here.address, token=here.token(tenant="acme")) as client:
            await client.contracts.put(CONTRACT.replace(b'"tenantId": "local"', b'"tenantId": "acme"'))
        token = there.token("connector", tenant="acme")()
        assert isinstance(token, str)
        async with (
            RawGateway.at(there.address) as raw,
            raw.stream(token) as idle,
            raw.stream(token) as busy,
            raw.stream(token) as paced,
        ):
            for opened, name in ((idle, "idle"), (busy, "busy"), (paced, "paced")):
                await opened.open(name)
            await busy.send(1, _records(1))
            await busy.acked()
            await operator.tenants.set_limits("acme", TenantLimits(records_per_second=1))
            await asyncio.sleep(_SECONDS)
            await paced.send(1, _records(600))
            await asyncio.sleep(0.2)
            await operator.tenants.suspend("acme")
            began = time.monotonic()
            for opened in (idle, busy, paced):
                with pytest.raises(EndedWithStatus) as ended:
                    await opened.read()
                refusal = (grpc.StatusCode.PERMISSION_DENIED, "TENANT_SUSPENDED")
                assert (ended.value.code, ended.value.reason) == refusal
            assert time.monotonic() - began < _SECONDS
            async with raw.stream(token) as refused:
                with pytest.raises(EndedWithStatus) as denied:
                    await refused.open("busy")
                assert denied.value.reason == "TENANT_SUSPENDED"
            await operator.tenants.set_limits("acme", TenantLimits(records_per_second=0))
            await operator.tenants.resume("acme")
            await asyncio.sleep(_SECONDS)
            async with raw.stream(token) as again:
                assert (await again.open("busy")).last_committed_sequence == 1
            async with raw.stream(token) as again:
                assert (await again.open("paced")).last_committed_sequence == 0, "it was never consumed"
                await again.send(1, _records(600))
                assert (await again.acked()).accepted == 600


async def test_nothing_of_a_suspended_tenant_is_committed(
    gateway: InProcess, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even before its streams are told to end."""
    monkeypatch.setattr(intake, "FOLLOW_SECONDS", 3600.0)
    issuer = LocalIssuer.open(data_dir)
    token = issuer.mint("acme", ("connector", "operator"), subject="test", audience="intelgraph")
    async with gateway.client() as operator, AsyncClient(gateway.address, token=token) as client:
        await operator.tenants.create("acme")
        await client.contracts.put(CONTRACT.replace(b'"tenantId": "local"', b'"tenantId": "acme"'))
        async with RawGateway.at(gateway.address) as raw, raw.stream(token) as opened:
            await opened.open("one")
            await opened.send(1, _records(1))
            assert (await opened.acked()).accepted == 1
            await operator.tenants.suspend("acme")
            await opened.send(2, _records(1))
            with pytest.raises(EndedWithStatus) as ended:
                await opened.read()
            assert ended.value.reason == "TENANT_SUSPENDED"
        await operator.tenants.resume("acme")
        async with RawGateway.at(gateway.address) as raw, raw.stream(token) as opened:
            assert (await opened.open("one")).last_committed_sequence == 1
