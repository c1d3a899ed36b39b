"""`kill -9` of the gateway under load: what was acknowledged is there once, and nothing is there twice."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

from tests.faults.audit import audit_documents, audit_log
from tests.faults.gateway import GatewayProcess, postgres_apart
from tests.faults.load import CONTRACT, load, producers
from tests.faults.report import Report, Survived


async def _kill(gateway: GatewayProcess, kills: int, draw: random.Random) -> Survived:
    began = time.monotonic()
    streams = producers(4)
    async with gateway.client() as client:
        await client.contracts.put(CONTRACT)
        async with load(client, streams):
            for _ in range(kills):
                await asyncio.sleep(draw.uniform(0.05, 1.0))
                await asyncio.to_thread(gateway.kill)
                await asyncio.to_thread(gateway.start)
        seconds = time.monotonic() - began
        survived = await audit_log(gateway.superuser_dsn, streams, faults=kills, seconds=seconds)
        assert survived.reconnects > 0
        await audit_documents(client, streams, draw)
    return survived


async def test_with_its_postgres(
    gateway: GatewayProcess, moments: random.Random, report: Report, is_full: bool
) -> None:
    report.survived["gateway_killed"] = await _kill(gateway, 70 if is_full else 6, moments)


async def test_with_a_postgres_that_stays(
    data_dir: Path, moments: random.Random, report: Report, is_full: bool
) -> None:
    with postgres_apart(data_dir) as server:
        gateway = GatewayProcess(data_dir, server=server)
        gateway.start()
        try:
            report.survived["gateway_killed_alone"] = await _kill(gateway, 40 if is_full else 4, moments)
        finally:
            gateway.end()
