"""The disk of PostgreSQL is full: batches are refused for now, and go in once there is room."""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.faults.audit import audit_documents, audit_log
from tests.faults.gateway import GatewayProcess
from tests.faults.load import CONTRACT, load, producers
from tests.faults.report import Report
from tests.faults.wire import EndedWithStatus, RawGateway, RawStream, reason_of
from tests.parts.disk import small_disk

_LEFT = 24 << 20
"""Room on the disk when the load begins: some batches go in, and PostgreSQL needs no new segment of its log."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small one."""
    with small_disk(tmp_path / "disk") as mounted:
        yield mounted


async def test_it_is_said_and_it_passes(disk: Path, moments: random.Random, report: Report) -> None:
    began = time.monotonic()
    gateway = GatewayProcess(disk / "data")
    await asyncio.to_thread(gateway.start)
    streams = producers(2)
    token = gateway.token("connector")()
    assert isinstance(token, str)
    try:
        async with gateway.client() as client, RawGateway.at(gateway.address) as raw:
            await client.contracts.put(CONTRACT)
            ballast = disk / "ballast"
            free = os.statvfs(disk)
            ballast.write_bytes(bytes(free.f_bavail * free.f_frsize - _LEFT))
            async with load(client, streams):
                async with raw.stream(token) as stream:
                    await stream.open("filler")
                    reason = await _fill(stream)
                assert reason in {"DISK_FULL", "STORAGE_UNAVAILABLE"}
                assert await _reason_now(raw, token) == "DISK_FULL"
                ballast.unlink()
            seconds = time.monotonic() - began
            survived = await audit_log(gateway.superuser_dsn, streams, faults=1, seconds=seconds)
            await audit_documents(client, streams, moments)
        report.survived["disk_full"] = survived
    finally:
        await asyncio.to_thread(gateway.end)


async def _fill(stream: RawStream) -> str:
    """Sends what does not compress until it is refused; returns the reason."""
    for sequence in range(1, 100):
        await stream.send(sequence, [_large()])
        try:
            answer = await stream.read()
        except EndedWithStatus as ended:
            return ended.reason
        if answer.WhichOneof("message") == "rejected":
            assert not answer.rejected.consumed

            return reason_of(answer.rejected.status)
    raise AssertionError("the disk is not as small as it should be")


async def _reason_now(raw: RawGateway, token: str) -> str:
    """Why a stream cannot be opened, or a batch not be stored, while the disk is full."""
    reason = ""
    for _ in range(20):
        async with raw.stream(token) as stream:
            try:
                opened = await stream.open("filler")
                await stream.send(opened.last_committed_sequence + 1, [_large()])
                _, reason = await stream.rejected()
            except EndedWithStatus as ended:
                reason = ended.reason
        if reason == "DISK_FULL":
            break
        await asyncio.sleep(0.3)
    return reason


def _large() -> bytes:
    return json.dumps({"sensor": str(uuid4()), "value": 1, "fill": secrets.token_hex(400_000)}).encode()
