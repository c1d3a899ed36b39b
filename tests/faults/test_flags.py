"""A flag that is set at one gateway holds at the other within two seconds, for what is open too, and over restarts."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from intelgraph.client import AsOf, AsyncClient, FlagReason, RetryPolicy
from intelgraph.client.failures import from_rpc
from intelgraph.errors import FailedPrecondition, Unavailable
from intelgraph.gateway.local_identity import LocalIssuer
from intelgraph.gateway.v1 import entity_pb2, entity_pb2_grpc
from tests.faults.gateway import TENANT, GatewayProcess
from tests.faults.load import CONTRACT, DATASET
from tests.faults.wire import RawGateway, RawStream

_SECONDS = 2.0
"""What docs/flags.md promises."""
_OFFICER = ("security-officer", "analyst", "connector", "auditor", "operator")


def _client(gateway: GatewayProcess) -> AsyncClient:
    return AsyncClient(gateway.address, token=gateway.token(*_OFFICER), retry=RetryPolicy(0.2, 0.1))


def _person(gateway: GatewayProcess, name: str) -> AsyncClient:
    issuer = LocalIssuer.open(gateway.data_dir)
    token = issuer.mint(TENANT, ("security-officer", "operator"), subject=name, audience="intelgraph")
    return AsyncClient(gateway.address, token=token)


async def _approved(gateway: GatewayProcess, document: str) -> UUID:
    """What Alice asks for, approved by Bob."""
    async with _person(gateway, "alice") as alice, _person(gateway, "bob") as bob:
        asked = await alice.approvals.request("flag.change", document.encode(), reason="it is being mended")
        given = await bob.approvals.approve(await bob.approvals.get(asked.approval_id))
    return given.approval_id


async def _weaken(gateway: GatewayProcess, flag: str, value: str) -> None:
    async with _client(gateway) as client:
        with pytest.raises(FailedPrecondition) as caught:
            await client.flags.set(flag, value)
        assert caught.value.reason == "APPROVAL_MISSING"
        approval_id = await _approved(gateway, caught.value.metadata["document"])
        done = await client.flags.set(flag, value, approval=approval_id)
        assert (done.value.value, done.value.approval_id) == (value, approval_id)


async def _strengthen(gateway: GatewayProcess, flag: str, value: str) -> None:
    async with _client(gateway) as client:
        assert (await client.flags.set(flag, value)).changed


async def _within(holds: Callable[[], Awaitable[bool]]) -> float:
    began = time.monotonic()
    while not await holds():
        assert time.monotonic() - began < _SECONDS
        await asyncio.sleep(0.02)
    return time.monotonic() - began


@asynccontextmanager
async def _stream(gateway: GatewayProcess, name: str) -> AsyncIterator[RawStream]:
    token = gateway.token()()
    assert isinstance(token, str)
    async with RawGateway.at(gateway.address) as raw, raw.stream(token) as stream:
        await stream.open(name)
        yield stream


@asynccontextmanager
async def _changes(gateway: GatewayProcess) -> AsyncIterator[Any]:
    """A feed as it is on the wire: the client's would connect again."""
    token = gateway.token()()
    async with grpc.aio.insecure_channel(gateway.address) as channel:
        stub = entity_pb2_grpc.EntityServiceStub(channel)
        call = stub.Changes(entity_pb2.ChangesRequest(), metadata=(("authorization", f"Bearer {token}"),))
        yield call
        call.cancel()


def _broken(sensor: str, number: int) -> bytes:
    return json.dumps({"sensor": sensor, "value": "no number", "by": str(number)}).encode()


async def test_contracts_warn_everywhere_and_are_enforced_everywhere_again(
    two_gateways: tuple[GatewayProcess, GatewayProcess],
) -> None:
    here, there = two_gateways
    async with _client(here) as client:
        await client.contracts.put(CONTRACT)
    sequence = 0

    async def sent(stream: RawStream) -> Any:
        nonlocal sequence
        sequence += 1
        await stream.send(sequence, [_broken("one", sequence), b'{"value": 1}'])
        ack = await stream.acked()
        assert ack.accepted + ack.quarantined == 2
        return ack

    async with _stream(there, "open all along") as stream:
        assert (await sent(stream)).quarantined == 2
        await _weaken(here, "contracts", "warn")

        async def warns() -> bool:
            return bool((await sent(stream)).warned)

        await _within(warns)
        ack = await sent(stream)
        assert (ack.accepted, ack.warned, ack.quarantined) == (1, 1, 1), "one has no key, and waits"
        async with _client(there) as client:
            (value,) = await client.flags.list("contracts")
            assert (value.value, value.reason) == ("warn", FlagReason.TENANT)
            version = await client.entities.get(DATASET, "one")
            assert version.warned
            assert version.json()["by"] == str(sequence)
            report = await client.entities.report(DATASET, "one")
            assert report is not None
            assert [(each.rule, each.instance_pointer) for each in report.violations] == [("type", "/value")]
            stored = await client.quarantine.get(UUID(ack.stored_id), with_records=True)
            assert [change.seq for change in stored.changes] == [ack.first_change_seq]
            assert stored.report.violations[0].rule == "type"
            assert ack.stored_id not in [str(each.quarantine_id) async for each in client.quarantine.list()]
            assert ack.stored_id in [
                str(each.quarantine_id) async for each in client.quarantine.list(stored=True)
            ]
        await _strengthen(there, "contracts", "enforce")
        enforced = await sent(stream)
        assert (enforced.accepted, enforced.quarantined) == (0, 2), "where it was set, at once"
        # The head was stored with a warning: that only `by` has changed vouches for nothing.
        assert (await sent(stream)).quarantined == 2
    there.kill()
    there.start()
    async with _stream(there, "after a restart") as stream:
        await stream.send(1, [_broken("one", 9_000)])
        ack = await stream.acked()
        assert (ack.accepted, ack.quarantined) == (0, 1)
        await stream.send(2, [b'{"sensor": "one", "value": 1, "by": "9001"}'])
        assert (await stream.acked()).accepted == 1
    async with _client(here) as client:
        assert not (await client.entities.get(DATASET, "one")).warned
        history = [entry.version.warned async for entry in client.entities.history(DATASET, "one")]
        assert history[0] is False
        assert all(history[1:])


async def test_the_past_is_turned_off_everywhere_and_what_is_open_ends(
    two_gateways: tuple[GatewayProcess, GatewayProcess],
) -> None:
    here, there = two_gateways
    async with _client(here) as client, _client(there) as other:
        await client.contracts.put(CONTRACT)
        async with client.stream(DATASET, "before", producer="test") as stream:
            await stream.send([{"sensor": "one", "value": 1}])
        async with _changes(there) as feed:
            assert (await feed.read()).resume_after_seq == 1
            waiting = asyncio.ensure_future(feed.read())
            await asyncio.sleep(0.3)
            await _weaken(here, "temporal", "off")
            began = time.monotonic()
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await waiting
            assert time.monotonic() - began < _SECONDS
            assert from_rpc(ended.value).reason == "TEMPORAL_OFF"

        async def refused(reading: Awaitable[Any]) -> None:
            with pytest.raises(Unavailable) as caught:
                await reading
            assert caught.value.reason == "TEMPORAL_OFF"

        for each in (client, other):
            await refused(each.entities.get(DATASET, "one", AsOf(valid=1)))
            await refused(each.entities.diff(DATASET, "one", AsOf(valid=1)))
            await refused(anext(aiter(each.entities.history(DATASET, "one"))))
            assert (await each.entities.get(DATASET, "one")).json()["value"] == 1
        async with other.stream(DATASET, "meanwhile", producer="test") as stream:
            await stream.send([{"sensor": "one", "value": 2}])
        assert (await other.entities.get(DATASET, "one")).json()["value"] == 2
    here.kill()
    here.start()
    async with _client(here) as client:
        await refused(client.entities.diff(DATASET, "one", AsOf(valid=1)))
        await _strengthen(there, "temporal", "on")

        async def answers() -> bool:
            try:
                return len([entry async for entry in client.entities.history(DATASET, "one")]) == 2
            except Unavailable:
                return False

        await _within(answers)
        entries = [entry async for entry in client.entities.changes(until_now=True)]
        assert [entry.version.seq for entry in entries] == [1, 2]


def _pasted(gateway: GatewayProcess, line: str) -> subprocess.CompletedProcess[str]:
    """A line of `intelgraph …`, in the shell of who runs the gateway."""
    words = shlex.split(line)
    assert words[0] == "intelgraph"
    command = [
        sys.executable,
        "-m",
        *words[:1],
        "--server",
        gateway.address,
        "--data-dir",
        str(gateway.data_dir),
    ]
    environment = os.environ | {"COLUMNS": "200"}
    return subprocess.run(
        [*command, *words[1:]], capture_output=True, text=True, check=False, timeout=60, env=environment
    )


async def test_the_lines_of_a_refusal_are_there_to_be_pasted(gateway: GatewayProcess) -> None:
    until = "2126-01-01T00:00:00Z"
    refused = _pasted(gateway, f"intelgraph flags set temporal off --share 10 --until {until}")
    assert refused.returncode == 2
    assert "APPROVAL_MISSING" in refused.stderr
    request, then = [line.strip() for line in refused.stderr.splitlines() if line.startswith("  intelgraph")]
    asked = _pasted(gateway, f"{request} --json".replace("WHY", "'reads are slow'"))
    assert asked.returncode == 0, asked.stderr
    approval_id = json.loads(asked.stdout)["approval_id"]
    async with _person(gateway, "bob") as bob:
        await bob.approvals.approve(await bob.approvals.get(UUID(approval_id)))
    done = _pasted(gateway, f"{then} --json".replace("ID", approval_id))
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["flag"], shown["share"], shown["share_until"], shown["changed"]) == (
        "temporal",
        10,
        until,
        True,
    )
    assert _pasted(gateway, "intelgraph flags set temporal on --share 100").returncode == 0
    listed = json.loads(_pasted(gateway, "intelgraph flags list --all --json").stdout)
    assert [value["why"] for value in listed["values"]] == ["default"] * 4
    assert [flag["share"] for flag in listed["flags"]] == [0] * 4
    assert "not act on it yet" in _pasted(gateway, "intelgraph flags show cmk").stdout


async def test_operators_see_what_is_weakened(gateway: GatewayProcess) -> None:
    await _weaken(gateway, "contracts", "warn")
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.http_port)
    writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
    text = (await reader.read()).decode().split("\r\n\r\n", 1)[1]
    writer.close()
    shown = {
        (sample.name, sample.labels["flag"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("intelgraph_flag_")
    }
    assert shown["intelgraph_flag_weakened_tenants", "contracts"] == 1
    assert shown["intelgraph_flag_weakened_tenants", "temporal"] == 0
    assert shown["intelgraph_flag_weakened_share", "contracts"] == 0
