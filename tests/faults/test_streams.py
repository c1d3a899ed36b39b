"""What a stream may be sent that no client of ours sends, and who may go on with it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import asyncpg
import grpc
import pytest
import pytest_asyncio

from intelgraph.client import AsyncClient
from intelgraph.storage.connection import reachable
from tests.faults.gateway import TENANT, GatewayProcess
from tests.faults.load import CONTRACT
from tests.faults.wire import EndedWithStatus, RawGateway, batch

OTHER = "other"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One gateway for all: each test has streams and sensors of its own."""
    process = GatewayProcess(
        tmp_path_factory.mktemp("served") / "data",
        settings={"INGEST__MAX_BATCH_BYTES": "65536", "AUTH__LEEWAY_S": "0"},
    )
    process.start()
    yield process
    process.end()


@pytest_asyncio.fixture
async def raw(served: GatewayProcess) -> AsyncIterator[RawGateway]:
    async with served.client() as client:
        await client.contracts.put(CONTRACT)
    async with RawGateway.at(served.address) as connected:
        yield connected


def record(value: int, sensor: str = "") -> bytes:
    return json.dumps({"sensor": sensor or str(uuid4()), "value": value}).encode()


def token(gateway: GatewayProcess, *roles: str, tenant: str = TENANT, lifetime: float = 3600.0) -> str:
    minted = gateway.token(*(roles or ("connector",)), tenant=tenant, lifetime=lifetime)()
    assert isinstance(minted, str)
    return minted


async def test_sequences(served: GatewayProcess, raw: RawGateway) -> None:
    stream_id = str(uuid4())
    async with raw.stream(token(served)) as stream:
        assert (await stream.open(stream_id)).last_committed_sequence == 0
        await stream.send(1, [record(1)])
        assert (await stream.acked()).accepted == 1
        for sequence, reason, consumed in (
            (1, "SEQUENCE_REPLAYED", True),
            (3, "SEQUENCE_GAP", False),
            (0, "SEQUENCE_GAP", False),
        ):
            frame = batch(sequence, [record(2)])
            await stream.write(frame)
            rejected, why = await stream.rejected()
            assert (rejected.sequence, why, rejected.consumed) == (sequence, reason, consumed)
            assert rejected.credit_bytes == len(frame)
        await stream.send(2, [record(2)])
        ack = await stream.acked()
        assert (ack.sequence, ack.accepted) == (2, 1)
    async with raw.stream(token(served)) as stream:
        assert (await stream.open(stream_id)).last_committed_sequence == 2


async def test_the_older_of_two_connections_is_fenced_and_stores_nothing(
    served: GatewayProcess, raw: RawGateway
) -> None:
    stream_id, sensor = str(uuid4()), str(uuid4())
    async with raw.stream(token(served)) as old, raw.stream(token(served)) as new:
        await old.open(stream_id)
        await old.send(1, [record(1, sensor)])
        assert (await old.acked()).accepted == 1
        assert (await new.open(stream_id)).last_committed_sequence == 1
        # Both at once: they may be committed in one group.
        await asyncio.gather(old.send(2, [record(2, sensor)]), new.send(2, [record(3, sensor)]))
        ack = await new.acked()
        assert (ack.accepted, ack.last_change_seq) == (1, ack.first_change_seq)
        with pytest.raises(EndedWithStatus) as fenced:
            await old.read()
        assert (fenced.value.code, fenced.value.reason) == (grpc.StatusCode.ABORTED, "STREAM_FENCED")
        await new.send(3, [record(3, sensor)])
        ack = await new.acked()
        assert (ack.accepted, ack.unchanged) == (0, 1)


async def test_many_connections_one_after_the_other_store_each_batch_once(
    served: GatewayProcess, raw: RawGateway
) -> None:
    """Each is left with batches on their way, which the next one sends again if they are not committed."""
    stream_id, sensor, stored = str(uuid4()), str(uuid4()), 0
    for _ in range(10):
        async with raw.stream(token(served)) as stream:
            committed = (await stream.open(stream_id)).last_committed_sequence
            assert committed >= stored
            stored = committed
            for sequence in range(committed + 1, committed + 6):
                await stream.send(sequence, [record(sequence, sensor)])
            await stream.acked()
            stored += 1
    async with raw.stream(token(served)) as stream:
        committed = (await stream.open(stream_id)).last_committed_sequence
        await stream.send(committed + 1, [record(-1, sensor)])
        ack = await stream.acked()
    connection = await asyncpg.connect(reachable(served.superuser_dsn.replace("/postgres?", "/intelgraph?")))
    rows = await connection.fetch(
        "SELECT version, batch_sequence FROM entity_change_log"
        " WHERE (tenant_id, entity_id) = (SELECT tenant_id, entity_id FROM entity_change_log WHERE seq = $1)"
        " ORDER BY seq",
        ack.last_change_seq,
    )
    await connection.close()
    assert [tuple(row) for row in rows] == [(number, number) for number in range(1, committed + 2)]


async def test_another_tenants_stream_is_another_stream(served: GatewayProcess, raw: RawGateway) -> None:
    async with served.client() as client:
        await client.tenants.create(OTHER)
    async with AsyncClient(served.address, token=served.token(tenant=OTHER)) as client:
        await client.contracts.put(CONTRACT.replace(b'"tenantId": "local"', b'"tenantId": "other"'))
    stream_id = str(uuid4())
    async with raw.stream(token(served)) as ours, raw.stream(token(served, tenant=OTHER)) as theirs:
        await ours.open(stream_id)
        await ours.send(1, [record(1)])
        await ours.acked()
        assert (await theirs.open(stream_id)).last_committed_sequence == 0
        await theirs.send(1, [record(1)])
        ack = await theirs.acked()
        assert (ack.accepted, ack.first_change_seq) == (1, 1)
        await ours.send(2, [record(2)])
        assert (await ours.acked()).accepted == 1


@pytest.mark.parametrize("tenant", [OTHER, "no-such-tenant"])
async def test_naming_another_tenant_is_denied_before_anything_is_read(
    served: GatewayProcess, raw: RawGateway, tenant: str
) -> None:
    async with raw.stream(token(served)) as stream:
        with pytest.raises(EndedWithStatus) as denied:
            await stream.open("s", dataset="no-such-dataset", tenant=tenant)
    assert (denied.value.code, denied.value.reason) == (grpc.StatusCode.PERMISSION_DENIED, "TENANT_MISMATCH")


async def test_an_unknown_contract_is_not_found(served: GatewayProcess, raw: RawGateway) -> None:
    async with raw.stream(token(served)) as stream:
        with pytest.raises(EndedWithStatus) as unknown:
            await stream.open("s", dataset="no-such-dataset")
    assert unknown.value.code is grpc.StatusCode.NOT_FOUND


async def test_a_token_that_expires_ends_the_stream_after_what_was_sent(
    served: GatewayProcess, raw: RawGateway
) -> None:
    async with raw.stream(token(served, lifetime=3.0)) as stream:
        await stream.open(str(uuid4()))
        for sequence in range(1, 6):
            await stream.send(sequence, [record(sequence)])
            assert (await stream.acked()).sequence == sequence
        # From here on it only reads: a write that finds the call ended makes grpc.aio hide how (grpc/grpc#36066).
        with pytest.raises(EndedWithStatus) as expired:
            await stream.read()
    assert (expired.value.code, expired.value.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")


async def test_a_new_token_keeps_the_stream_alive(served: GatewayProcess, raw: RawGateway) -> None:
    async with raw.stream(token(served, lifetime=3.0)) as stream:
        await stream.open(str(uuid4()))
        await stream.refresh(token(served))
        until, sequence = time.monotonic() + 3.5, 0
        while time.monotonic() < until:
            sequence += 1
            await stream.send(sequence, [record(sequence)])
            await stream.acked()
            await asyncio.sleep(0.2)
        await stream.refresh("not.a.token")
        with pytest.raises(EndedWithStatus) as refused:
            await stream.read()
    assert refused.value.code is grpc.StatusCode.UNAUTHENTICATED


async def test_poison_is_used_up_and_the_stream_goes_on(served: GatewayProcess, raw: RawGateway) -> None:
    stream_id = str(uuid4())
    torn = batch(1, [record(1)])[:-3]
    deep = b'{"sensor":"s","value":' + b"[" * 200 + b"]" * 200 + b"}"
    async with raw.stream(token(served)) as stream:
        await stream.open(stream_id)
        for sequence, frame, reason in (
            (1, torn, "FRAME_MALFORMED"),
            (2, b"\xff" * 40, "FRAME_MALFORMED"),
            (3, batch(3, [b'{"sensor":"' + b"x" * 70_000 + b'","value":1}']), "BATCH_TOO_LARGE"),
        ):
            await stream.write(frame)
            rejected, why = await stream.rejected()
            assert (rejected.sequence, rejected.consumed, why) == (sequence, True, reason)
        broken = [
            b"",
            b"{",
            b'{"sensor":"a","sensor":"b","value":1}',
            b'{"sensor":"\xff","value":1}',
            b'{"sensor":"s","value":1e999}',
            deep,
            b'{"sensor":1,"value":1}',
            b"[]",
        ]
        await stream.send(4, [record(1), *broken, record(2)])
        ack = await stream.acked()
        assert (ack.accepted, ack.quarantined) == (2, len(broken))
        assert ack.quarantine_id
    async with raw.stream(token(served)) as stream:
        assert (await stream.open(stream_id)).last_committed_sequence == 4


async def test_a_message_beyond_the_transports_limit_ends_the_connection_only(
    served: GatewayProcess, raw: RawGateway
) -> None:
    stream_id = str(uuid4())
    async with raw.stream(token(served)) as stream:
        await stream.open(stream_id)
        await stream.write(batch(1, [b'"' + b"x" * (40 << 20) + b'"']))
        with pytest.raises(EndedWithStatus) as refused:
            await stream.read()
        assert refused.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    async with raw.stream(token(served)) as stream:
        assert (await stream.open(stream_id)).last_committed_sequence == 0
        await stream.send(1, [record(1)])
        assert (await stream.acked()).accepted == 1
