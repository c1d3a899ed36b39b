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
import pytest_asyncio

import intelgraph
from tests.faults.in_process import in_process
from tests.faults.wire import RawGateway, RawStream

_WATCHED = tuple(path for package in (intelgraph, asyncpg) for path in package.__path__)
_FEW, _MANY = 64, 1024
"""Both make less than one chunk of 512 KiB for COPY."""
_ROUNDS = 4
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


async def test_lines_do_not_grow_with_records(stream: RawStream) -> None:
    sequences = itertools.count(1)

    async def lines_of(records: list[bytes]) -> Counter[str]:
        lines: Counter[str] = Counter()
        with lines_counted(lines):
            await stream.send(next(sequences), records)
            ack = await stream.acked()
        assert ack.accepted + ack.quarantined == len(records)
        return lines

    async def least(count: int, make: Callable[[int, int, int], object]) -> Counter[str]:
        """How often each line runs at least: keys and connections are made now and then, records are always."""
        rounds = [
            await lines_of([json.dumps(make(count, number, turn)).encode() for number in range(count)])
            for turn in range(_ROUNDS)
        ]
        return functools.reduce(operator.and_, rounds)

    for make in (_changed, _broken):
        few, many = await least(_FEW, make), await least(_MANY, make)
        assert few
        grown = many - few
        assert max(grown.values(), default=0) <= _AT_THE_EDGE, grown.most_common(5)


def _changed(count: int, number: int, turn: int) -> object:
    return {"sensor": f"{count}-{number}", "value": turn}


def _broken(count: int, number: int, turn: int) -> object:
    return {"sensor": f"{count}-{number}", "value": f"turn {turn}"}
