"""No line of Python runs per record: a batch of many records runs the same lines as one of few."""

from __future__ import annotations

import functools
import itertools
import json
import operator
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

import intelgraph
from tests.faults.in_process import in_process
from tests.faults.wire import RawGateway, RawStream

Make = Callable[[str, int], dict[str, object]]
"""Makes a record of an entity for a turn."""

_WATCHED = tuple(path for package in (intelgraph, asyncpg) for path in package.__path__)
_FEW, _MANY = 64, 1024
"""Both make less than one chunk of 512 KiB for COPY."""
_ROUNDS = 4
_BATCH_BYTES, _CHUNK_BYTES = 3 << 20, 512 << 10
_AT_THE_EDGE = 8
"""Runs of a line that fall in or out of the count with the moment of the answer. A line per record has 960 more."""


@contextmanager
def lines_counted(lines: Counter[str]) -> Iterator[None]:
    """Counts the lines that run in our packages and in asyncpg, in this thread and in those that begin now."""

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(_WATCHED):
            return None
        if event == "line":
            lines[f"{name}:{frame.f_lineno}"] += 1
        return trace

    threading.settrace(trace)
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)
        threading.settrace(None)


@pytest_asyncio.fixture
async def stream(data_dir: Path) -> AsyncIterator[RawStream]:
    """A stream of a gateway that serves in this very process."""
    async with (
        in_process(data_dir) as gateway,
        RawGateway.at(gateway.address) as raw,
        raw.stream(gateway.token) as opened,
    ):
        await opened.open("counted")
        yield opened


class Counted:
    """Sends batches, and counts the lines that each takes."""

    def __init__(self, stream: RawStream) -> None:
        self._stream = stream
        self._sequences = itertools.count(1)

    async def least(self, make: Make, records: int, padding: int = 0) -> Counter[str]:
        """How often each line runs at least for a batch of so many records with so many bytes of padding each: keys
        and connections are made now and then, records are always.
        """
        rounds = []
        for turn in range(_ROUNDS):
            batch = [make(f"{records}-{number}", turn) | {"by": "x" * padding} for number in range(records)]
            rounds.append(await self._lines_of([json.dumps(record).encode() for record in batch]))
        return functools.reduce(operator.and_, rounds)

    async def _lines_of(self, records: list[bytes]) -> Counter[str]:
        lines: Counter[str] = Counter()
        with lines_counted(lines):
            await self._stream.send(next(self._sequences), records)
            ack = await self._stream.acked()
        assert ack.accepted + ack.quarantined == len(records)
        return lines


def _changed(name: str, turn: int) -> dict[str, object]:
    return {"sensor": name, "value": turn}


def _new(name: str, turn: int) -> dict[str, object]:
    return {"sensor": f"{name}-{turn}", "value": turn}


def _broken(name: str, turn: int) -> dict[str, object]:
    return {"sensor": name, "value": f"turn {turn}"}


@pytest.mark.parametrize("make", [_changed, _new, _broken])
async def test_lines_do_not_grow_with_records(stream: RawStream, make: Make) -> None:
    counted = Counted(stream)
    few, many = await counted.least(make, _FEW), await counted.least(make, _MANY)
    assert few
    grown = many - few
    assert max(grown.values(), default=0) <= _AT_THE_EDGE, grown.most_common(5)


@pytest.mark.parametrize("make", [_new, _broken])
async def test_lines_may_grow_with_chunks_and_not_with_their_records(stream: RawStream, make: Make) -> None:
    """What is stored whole leaves the core in chunks for COPY: each takes some lines, whatever is in it."""
    counted = Counted(stream)
    one_chunk = await counted.least(make, 200)
    large = await counted.least(make, 200, _BATCH_BYTES // 200)
    small = await counted.least(make, 2_000, _BATCH_BYTES // 2_000)
    chunks = _BATCH_BYTES // _CHUNK_BYTES
    grown = large - one_chunk
    assert sum(runs >= chunks - 1 for runs in grown.values()) > 0
    assert max(grown.values()) <= chunks + _AT_THE_EDGE, grown.most_common(5)
    # The same bytes in ten times the records, whose rows' heads make a chunk more.
    grown = small - large
    assert max(grown.values(), default=0) <= _AT_THE_EDGE, grown.most_common(5)
