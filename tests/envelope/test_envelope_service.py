"""EnvelopeService: what is sealed opens in its context, for its tenant, wherever its keys are."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from google.rpc import error_details_pb2, status_pb2

from intelgraph.errors import IntelGraphError, InvalidArgument, PermissionDenied
from intelgraph.gateway.envelope_service import EnvelopeService
from intelgraph.gateway.identity import Identity, current_identity
from intelgraph.gateway.v1 import envelope_pb2
from intelgraph.storage.database import Database
from intelgraph.storage.embedded import EmbeddedServer
from intelgraph.tenants.registry import Tenant
from tests.parts.policy import let_in
from tests.parts.postgres import fresh_database
from tests.storage.naive_log import create_tenant
from tests.temporal.world import World, running, upsert

CONTEXT: Any = None  # the handlers do not look at it


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with running(database, tmp_path / "keys") as started:
        yield started


@pytest.fixture
async def tenant(world: World) -> Tenant:
    return await world.tenant()


class Caller:
    """A service of one tenant, at one gateway."""

    def __init__(self, world: World, tenant: Tenant) -> None:
        self._service = EnvelopeService(world.keystore, world.keys)
        self._identity = Identity(tenant, "svc", frozenset({"service"}), float("inf"), "jwt")

    async def encrypt(
        self, plaintexts: Sequence[bytes], context: bytes = b"", *, inline: bool = False, tenant: str = ""
    ) -> list[bytes]:
        request = envelope_pb2.EncryptRequest(
            context=context, plaintexts=plaintexts, inline_wrapped_key=inline, tenant=tenant
        )
        let_in(self._identity, "envelope.encrypt")
        answer = await self._service.encrypt(request.SerializeToString(), CONTEXT)
        return list(envelope_pb2.EncryptResponse.FromString(answer).envelopes)

    async def decrypt(
        self, envelopes: Sequence[bytes], context: bytes = b"", *, tenant: str = ""
    ) -> list[bytes | str]:
        """The plaintexts; for what does not open, the reason."""
        request = envelope_pb2.DecryptRequest(context=context, envelopes=envelopes, tenant=tenant)
        let_in(self._identity, "envelope.decrypt")
        answer = await self._service.decrypt(request.SerializeToString(), CONTEXT)
        results = envelope_pb2.DecryptResponse.FromString(answer).results
        return [
            result.plaintext if result.WhichOneof("result") == "plaintext" else reason_of(result.error)
            for result in results
        ]

    async def raw(self, request: bytes) -> None:
        current_identity.set(self._identity)
        for method in (self._service.encrypt, self._service.decrypt):
            with pytest.raises(InvalidArgument) as caught:
                await method(request, CONTEXT)
            assert caught.value.reason == "MALFORMED_MESSAGE"


def reason_of(status: status_pb2.Status) -> str:
    """The reason in a status, which says no more than it must."""
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "intelgraph.dev"
    assert "secret" not in str(status)
    return info.reason


async def test_what_is_sealed_opens(world: World, tenant: Tenant) -> None:
    caller = Caller(world, tenant)
    plaintexts = [b"secret one", b"", b"secret one", b"x" * 100_000]
    for inline in (False, True):
        sealed = await caller.encrypt(plaintexts, b"invoices", inline=inline)
        assert len(set(sealed)) == len(plaintexts)
        assert not any(b"secret" in envelope for envelope in sealed)
        assert await caller.decrypt(sealed, b"invoices") == plaintexts
    assert await caller.encrypt([]) == []
    assert await caller.decrypt([]) == []


async def test_another_context_is_refused_item_by_item(world: World, tenant: Tenant) -> None:
    caller = Caller(world, tenant)
    (first,) = await caller.encrypt([b"secret one"], b"invoices")
    (second,) = await caller.encrypt([b"secret two"], b"payslips")
    altered = second[:-1] + bytes([second[-1] ^ 1])
    assert await caller.decrypt([first, second, altered, b"", b"\x07"], b"payslips") == [
        "ENVELOPE_NOT_AUTHENTIC",
        b"secret two",
        "ENVELOPE_NOT_AUTHENTIC",
        "ENVELOPE_TRUNCATED",
        "ENVELOPE_VERSION_UNKNOWN",
    ]


async def test_another_tenant_opens_nothing(world: World, tenant: Tenant) -> None:
    stranger = Caller(world, await world.tenant())
    caller = Caller(world, tenant)
    (alone,) = await caller.encrypt([b"secret"])
    (with_keys,) = await caller.encrypt([b"secret"], inline=True)
    mine = await stranger.encrypt([b"mine"])
    assert await stranger.decrypt([alone, with_keys, *mine]) == [
        "DATA_KEY_NOT_FOUND",
        "TRAVELLING_KEY_REFUSED",
        b"mine",
    ]
    for call in (stranger.encrypt([b"x"], tenant=tenant.name), stranger.decrypt([alone], tenant=tenant.name)):
        with pytest.raises(PermissionDenied) as caught:
            await call
        assert caught.value.reason == "TENANT_MISMATCH"


async def test_what_the_log_holds_does_not_open_as_a_message(world: World, tenant: Tenant) -> None:
    await world.ingest(tenant, upsert({"id": "secret", "at": 1}))
    async with world.database.read(tenant.tenant_id) as connection:
        row = await connection.fetchrow("SELECT sealed, entity_id FROM entity_change_log")
    assert row is not None
    opened = await Caller(world, tenant).decrypt([row["sealed"]], row["entity_id"].bytes)
    assert opened == ["ENVELOPE_NOT_AUTHENTIC"]


async def test_another_gateway_of_the_same_keys_opens_it(
    world: World, tenant: Tenant, database: Database, tmp_path: Path
) -> None:
    sealed = await Caller(world, tenant).encrypt([b"secret"] * 3)
    async with running(database, tmp_path / "keys") as other:
        assert await Caller(other, tenant).decrypt(sealed) == [b"secret"] * 3


@asynccontextmanager
async def _elsewhere(postgres: EmbeddedServer, directory: Path, tenant: Tenant) -> AsyncIterator[World]:
    """A gateway with another database, in which the same tenant has none of the same key rows."""
    async with fresh_database(postgres) as settings:
        database = await Database.connect(settings)
        try:
            async with database.write() as connection:
                await create_tenant(connection, tenant.tenant_id)
            async with running(database, directory) as other:
                yield other
        finally:
            await database.close()


async def test_an_envelope_with_its_key_travels_alone(
    world: World, tenant: Tenant, postgres: EmbeddedServer, tmp_path: Path
) -> None:
    caller = Caller(world, tenant)
    sealed = await caller.encrypt([b"secret one", b"secret two"], b"c", inline=True)
    (alone,) = await caller.encrypt([b"secret"], b"c")
    async with _elsewhere(postgres, tmp_path / "keys", tenant) as other:
        there = Caller(other, tenant)
        # The same KMS unwraps what travels; what does not carry its key stays shut.
        assert await there.decrypt([alone, *sealed], b"c") == [
            "DATA_KEY_NOT_FOUND",
            b"secret one",
            b"secret two",
        ]
        assert await there.decrypt(sealed, b"d") == ["ENVELOPE_NOT_AUTHENTIC"] * 2
        assert await there.decrypt(await there.encrypt([b"own"])) == [b"own"]
    async with _elsewhere(postgres, tmp_path / "other keys", tenant) as other:
        # Another KMS does not.
        there = Caller(other, tenant)
        assert await there.decrypt([*sealed, alone], b"c") == [
            "TRAVELLING_KEY_REFUSED",
            "TRAVELLING_KEY_REFUSED",
            "DATA_KEY_NOT_FOUND",
        ]


async def test_a_forged_travelling_key_spoils_nothing(
    world: World, tenant: Tenant, postgres: EmbeddedServer, tmp_path: Path
) -> None:
    caller = Caller(world, tenant)
    (genuine,) = await caller.encrypt([b"secret"], inline=True)
    forged = bytearray(genuine)
    forged[130] ^= 1  # within the wrapped tenant key
    async with _elsewhere(postgres, tmp_path / "keys", tenant) as other:
        there = Caller(other, tenant)
        assert await there.decrypt([bytes(forged)]) == ["TRAVELLING_KEY_REFUSED"]
        assert await there.decrypt([genuine]) == [b"secret"]


async def test_limits_are_named(world: World, tenant: Tenant) -> None:
    caller = Caller(world, tenant)
    assert len(await caller.encrypt([b""] * 4096, b"c" * 1024)) == 4096
    for call, reason in (
        (caller.encrypt([b""] * 4097), "TOO_MANY_MESSAGES"),
        (caller.encrypt([b"x" * (8 << 20), b"x"]), "MESSAGES_TOO_LARGE"),
        (caller.encrypt([b""], b"c" * 1025), "CONTEXT_TOO_LONG"),
        (caller.decrypt([b""] * 4097), "TOO_MANY_MESSAGES"),
        (caller.decrypt([b"x" * (13 << 20)]), "MESSAGES_TOO_LARGE"),
        (caller.decrypt([b""], b"c" * 1025), "CONTEXT_TOO_LONG"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            await call
        assert caught.value.reason == reason
        assert caught.value.fix
    for malformed in (b"\x0a", b"\x12\xff", b"\xff" * 20):
        await caller.raw(malformed)


async def test_a_denied_key_seals_and_opens_nothing(
    world: World, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = Caller(world, tenant)
    sealed = await caller.encrypt([b"secret"])
    denied = PermissionDenied("KEY_DENIED", "denied", fix="")

    async def authorise(_: object) -> None:
        raise denied

    world.keystore.revoke(tenant.tenant_id.bytes)
    monkeypatch.setattr(world.keys, "authorise", authorise)
    for call in (caller.encrypt([b"x"]), caller.decrypt(sealed)):
        with pytest.raises(IntelGraphError) as caught:
            await call
        assert caught.value is denied
