"""A COMMIT was sent, and PostgreSQL stays away for longer than a commit is retried: only the position knows."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from intelgraph.ingest import committer
from intelgraph.storage import database
from intelgraph.storage.embedded import EmbeddedServer
from tests.faults.audit import audit_documents, audit_log
from tests.faults.in_process import InProcess, in_process
from tests.faults.load import load, producers
from tests.faults.lost_answers import LostAnswers, losing_answers
from tests.faults.wire import EndedWithStatus, RawGateway

_PATIENCE_SECONDS = 0.5


@dataclass(frozen=True)
class _Relayed:
    gateway: InProcess
    relay: LostAnswers


@pytest_asyncio.fixture
async def relayed(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[_Relayed]:
    """A gateway that commits through a relay, and retries for less long than a gateway does."""
    monkeypatch.setattr(committer, "RETRY_SECONDS", _PATIENCE_SECONDS)
    monkeypatch.setattr(database, "PATIENCE_SECONDS", _PATIENCE_SECONDS)
    with TemporaryDirectory() as directory:
        server = EmbeddedServer(data_dir)
        async with (
            losing_answers(server.cluster, Path(directory)) as relay,
            in_process(data_dir, relay=Path(directory)) as gateway,
        ):
            yield _Relayed(gateway, relay)


async def _until_lost(relay: LostAnswers, commits: int) -> None:
    async with asyncio.timeout(30):
        while relay.lost < commits:  # noqa: ASYNC110 (the relay is told nothing)
            await asyncio.sleep(0.02)


def _record(value: int) -> bytes:
    return json.dumps({"sensor": "one", "value": value}).encode()


@pytest.mark.parametrize("reaching", [True, False])
async def test_the_stream_ends_and_goes_on_where_it_was(relayed: _Relayed, reaching: bool) -> None:
    gateway, relay = relayed.gateway, relayed.relay
    async with RawGateway.at(gateway.address) as raw:
        async with raw.stream(gateway.token) as stream:
            await stream.open("unknown")
            await stream.send(1, [_record(1)])
            await stream.acked()
            relay.leave_at_next_batch(reaching=reaching)
            await stream.send(2, [_record(2)])
            with pytest.raises(EndedWithStatus) as unknown:
                await stream.read()
        assert relay.lost == 1
        assert (unknown.value.code, unknown.value.reason) == (
            grpc.StatusCode.UNAVAILABLE,
            "STORAGE_UNAVAILABLE",
        )
        # A batch that is asked for again might be stored twice: it may be committed.
        assert not unknown.value.asks_for_retry
        relay.come_back()
        async with raw.stream(gateway.token) as stream:
            committed = (await stream.open("unknown")).last_committed_sequence
            assert committed == (2 if reaching else 1)
            if not reaching:
                await stream.send(2, [_record(2)])
                assert (await stream.acked()).accepted == 1
            await stream.send(3, [_record(3)])
            ack = await stream.acked()
            assert (ack.accepted, ack.first_change_seq) == (1, 3)


async def test_a_client_loses_and_doubles_nothing(relayed: _Relayed, moments: random.Random) -> None:
    gateway, relay = relayed.gateway, relayed.relay
    began, streams = time.monotonic(), producers(3)
    retried = _retried()
    async with gateway.client() as client:
        async with load(client, streams):
            for number, reaching in enumerate((True, False, True), 1):
                await asyncio.sleep(0.3 + 0.3 * moments.random())
                relay.leave_at_next_batch(reaching=reaching)
                await _until_lost(relay, number)
                await asyncio.sleep(4 * _PATIENCE_SECONDS)
                relay.come_back()
        seconds = time.monotonic() - began
        await audit_log(gateway.server.dsn("postgres"), streams, faults=relay.lost, seconds=seconds)
        await audit_documents(client, streams, moments)
    assert any(producer.reconnects for producer in streams)
    assert _retried() > retried


def _retried() -> float:
    return REGISTRY.get_sample_value("intelgraph_ingest_commits_retried_total") or 0.0
