"""No line of Python runs per record: a batch of many records runs the same lines as one of few."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import uuid4

import asyncpg
import pytest_asyncio

import intelgraph
from intelgraph.client import AsyncClient
from intelgraph.gateway.lifecycle import Listening, StopRequests
from intelgraph.gateway.local_identity import LocalIssuer
from intelgraph.gateway.process import run
from intelgraph.gateway.settings import load_settings
from intelgraph.storage.embedded import EmbeddedServer
from tests.faults.load import CONTRACT
from tests.faults.wire import RawGateway, RawStream

_WATCHED = tuple(str(Path(package.__file__).parent) for package in (intelgraph, asyncpg))
_FEW, _MANY = 64, 1024
"""Both make less than one chunk of 512 KiB for COPY."""


@contextmanager
def lines_counted(lines: Counter[str]) -> Iterator[None]:
    """Counts the lines that run in our packages and in asyncpg, in this thread and in those that begin now."""

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(_WATCHED):
            return None
        if event == "line" and lines is not None:
            lines[f"{name}:{frame.f_lineno}"] += 1
        return trace

    threading.settrace(trace)
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type] # None ends it


@pytest_asyncio.fixture
async def stream(data_dir: Path) -> AsyncIterator[RawStream]:
    """A stream of a gateway that serves in this very process."""
    with EmbeddedServer(data_dir) as server:
        settings = load_settings(
            {"data_dir": data_dir, "grpc": {"port": 0}, "http": {"port": 0}, "storage": {}}
        )
        settings = settings.model_copy(update={"storage": server.addresses(settings.storage)})
        stop, listening = StopRequests(), asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(run(settings, listening.set_result, stop))
        try:
            await asyncio.wait({serving, listening}, return_when=asyncio.FIRST_COMPLETED)
            served: Listening = listening.result()
            token = LocalIssuer.open(data_dir).mint(
                "local", ["connector", "operator"], subject="test", audience="intelgraph"
            )
            address = f"127.0.0.1:{served.grpc_port}"
            async with AsyncClient(address, token=token) as client:
                await client.contracts.put(CONTRACT)
            async with RawGateway.at(address) as raw, raw.stream(token) as opened:
                await opened.open("counted")
                yield opened
        finally:
            stop.request()
            await serving


async def test_lines_do_not_grow_with_records(stream: RawStream) -> None:
    async def lines_of(sequence: int, records: list[bytes]) -> Counter[str]:
        lines: Counter[str] = Counter()
        with lines_counted(lines):
            await stream.send(sequence, records)
            ack = await stream.acked()
        assert ack.accepted + ack.quarantined == len(records)
        return lines

    def changed(records: int, value: object) -> list[bytes]:
        return [json.dumps({"sensor": f"{records}-{n}", "value": value}).encode() for n in range(records)]

    sequence = 0
    for value in (0, 1, 2):  # what is made once, such as keys, is made by the first round
        counted = []
        for count in (_FEW, _MANY):
            sequence += 1
            counted.append(await lines_of(sequence, changed(count, value)))
        few, many = counted
        assert few
        if value:
            assert many - few == Counter(), "lines that run more often for more records"

    sequence += 1
    few = await lines_of(sequence, changed(_FEW, "broken"))
    sequence += 1
    many = await lines_of(sequence, changed(_MANY, f"broken{uuid4()}"))
    assert sum((many - few).values()) < _FEW, "what breaks its contract runs no lines per record either"
