"""What the metrics of ingest say is what was sent, and what connections leave behind is nothing."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import pytest_asyncio
from prometheus_client import REGISTRY

from tests.faults.in_process import InProcess, in_process
from tests.faults.wire import RawGateway, batch

_ABANDONED = 50


@pytest_asyncio.fixture
async def gateway(data_dir: Path) -> AsyncIterator[InProcess]:
    async with in_process(data_dir) as serving:
        yield serving


def _record(sensor: str, value: object) -> bytes:
    return json.dumps({"sensor": sensor, "value": value}).encode()


def _value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"intelgraph_ingest_{name}", labels) or 0.0


def _values() -> dict[str, float]:
    records = {
        outcome: _value("records_total", outcome=outcome)
        for outcome in ("accepted", "unchanged", "duplicate", "quarantined")
    }
    batches = {
        outcome: _value("batches_total", outcome=outcome)
        for outcome in ("acknowledged", "rejected", "handed_back")
    }
    sums = {name: _value(f"commit_{name}_sum") for name in ("batches", "records")}
    return {**records, **batches, **sums, "commits": _value("commit_seconds_count")}


async def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_records_and_batches_are_counted_by_outcome(gateway: InProcess) -> None:
    before, streams = _values(), _value("open_streams")
    same = [_record("b", 1), _record("c", 1)]
    async with RawGateway.at(gateway.address) as raw, raw.stream(gateway.token) as stream:
        await stream.open(str(uuid4()))
        await stream.send(1, [_record("a", 1), *same, _record("d", "no number")])
        await stream.acked()
        await stream.send(2, [_record("a", 2), *same])
        await stream.acked()
        await stream.write(batch(3, [_record("a", 3)])[:-3])
        assert (await stream.rejected())[0].consumed
        await stream.send(9, [_record("a", 9)])
        assert not (await stream.rejected())[0].consumed
        assert _value("open_streams") == streams + 1
    await _until(lambda: _value("open_streams") == streams)
    after = _values()
    assert {name: after[name] - before[name] for name in after} == {
        "accepted": 4,
        "unchanged": 2,
        "duplicate": 0,
        "quarantined": 1,
        "acknowledged": 2,
        "rejected": 2,
        "handed_back": 0,
        "batches": 3,
        "records": 7,
        "commits": 3,
    }
    assert _value("bytes_in_flight") == 0


async def test_abandoned_connections_leave_no_bytes_in_flight(gateway: InProcess) -> None:
    """Each is given up with batches in whatever state they are: read, prepared, diffed or committed."""
    moments, streams, seen = random.Random(7), _value("open_streams"), 0.0  # noqa: S311 (no secret)
    records = [_record(str(uuid4()), number) for number in range(2_000)]
    async with RawGateway.at(gateway.address) as raw:
        for _ in range(_ABANDONED):
            async with raw.stream(gateway.token) as stream:
                await stream.open(str(uuid4()))
                for sequence in range(1, 4):
                    await stream.send(sequence, records)
                await asyncio.sleep(moments.random() * 0.02)
                seen = max(seen, _value("bytes_in_flight"))
    assert seen > 0
    await _until(lambda: _value("open_streams") == streams and _value("bytes_in_flight") == 0)
    async with RawGateway.at(gateway.address) as raw, raw.stream(gateway.token) as stream:
        await stream.open(str(uuid4()))
        await stream.send(1, records)
        await stream.acked()
    assert _value("bytes_in_flight") == 0


async def test_heads_are_counted_by_where_they_came_from(data_dir: Path) -> None:
    def heads() -> tuple[float, float, float]:
        held, fetched = (_value("heads_total", met=met) for met in ("held", "fetched"))
        return held, fetched, _value("cached_heads")

    async def send(gateway: InProcess, sequence: int) -> None:
        async with RawGateway.at(gateway.address) as raw, raw.stream(gateway.token) as stream:
            await stream.open("one")
            await stream.send(sequence, [_record(sensor, sequence) for sensor in ("a", "b", "c")])
            await stream.acked()

    held, fetched, _ = heads()
    async with in_process(data_dir) as gateway:
        await send(gateway, 1)
        await _until(lambda: heads() == (held + 3, fetched, 3))
        assert _value("cached_bytes") > 3 * 128
        await send(gateway, 2)
    assert heads() == (held + 6, fetched, 3), "measured once more when the gateway ends"
    async with in_process(data_dir) as gateway:  # has no head in memory
        await send(gateway, 3)
        await _until(lambda: heads() == (held + 6, fetched + 3, 3))
