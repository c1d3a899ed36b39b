"""PostgreSQL stops, dies and is away under load, and the gateway stays: clients see delays and nothing else."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.faults.audit import audit_documents, audit_log
from tests.faults.gateway import GatewayProcess, postgres_apart
from tests.faults.load import CONTRACT, load, producers
from tests.faults.report import Report, Survived


async def _strike(
    gateway: GatewayProcess, draw: random.Random, times: int, fault: Callable[[], Awaitable[None]]
) -> Survived:
    began = time.monotonic()
    streams = producers(3)
    async with gateway.client() as client:
        await client.contracts.put(CONTRACT)
        async with load(client, streams):
            for _ in range(times):
                await asyncio.sleep(draw.uniform(0.3, 1.0))
                await fault()
            await asyncio.sleep(0.5)
        seconds = time.monotonic() - began
        survived = await audit_log(gateway.superuser_dsn, streams, faults=times, seconds=seconds)
        await audit_documents(client, streams, draw)
    return survived


async def test_restarted_and_killed_by_turns(
    gateway: GatewayProcess, moments: random.Random, report: Report, is_full: bool
) -> None:
    """The gateway starts its own server again, which recovers."""

    async def end() -> None:
        before = gateway.postgres_pid
        # SIGINT is the fast shutdown; SIGTERM would wait until the gateway closes its connections.
        os.kill(before, moments.choice((signal.SIGINT, signal.SIGKILL)))
        async with asyncio.timeout(30):
            while not _serves_anew(gateway, before):  # noqa: ASYNC110 (another process has no Event)
                await asyncio.sleep(0.05)

    report.survived["postgres_restarted"] = await _strike(gateway, moments, 20 if is_full else 4, end)


async def test_away_for_longer_than_a_query_waits(
    data_dir: Path, moments: random.Random, report: Report, is_full: bool
) -> None:
    """Batches behind one that could not be prepared are sent again, and those before it are not lost."""
    with postgres_apart(data_dir) as server:
        gateway = GatewayProcess(data_dir, server=server)
        gateway.start()

        async def away() -> None:
            await asyncio.to_thread(server.stop)
            await asyncio.sleep(4.0)
            await asyncio.to_thread(server.start)

        try:
            report.survived["postgres_away"] = await _strike(gateway, moments, 5 if is_full else 1, away)
        finally:
            gateway.end()


def _serves_anew(gateway: GatewayProcess, before: int) -> bool:
    try:
        return gateway.postgres_pid != before
    except (FileNotFoundError, ValueError):
        return False
