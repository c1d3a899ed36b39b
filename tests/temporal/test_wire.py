"""EntityService and EnvelopeService on the wire: what a client in any language gets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from intelgraph.gateway.authenticator import Authenticator
from intelgraph.gateway.entity_service import EntityService
from intelgraph.gateway.envelope_service import EnvelopeService
from intelgraph.gateway.server import GatewayServer, Parts
from intelgraph.gateway.settings import load_settings
from intelgraph.gateway.token_keys import KeyFile
from intelgraph.gateway.tokens import TokenVerifier
from intelgraph.gateway.v1 import entity_pb2, entity_pb2_grpc, envelope_pb2, envelope_pb2_grpc
from intelgraph.storage import change_log
from intelgraph.temporal.feed import ChangeFeed
from intelgraph.tenants.registry import Tenant
from tests.gateway.served import bearer, refusal_of
from tests.gateway.token_issuer import TokenIssuer
from tests.parts.ledger import TESTER
from tests.parts.policy import make_permissions
from tests.temporal.world import World, upsert

EWR = entity_pb2.EntityRef(dataset="stations", key=b'"EWR"')


@dataclass
class Wire:
    """A channel to a served world."""

    server: GatewayServer
    entities: "entity_pb2_grpc.EntityServiceAsyncStub"
    envelopes: "envelope_pb2_grpc.EnvelopeServiceAsyncStub"
    issuer: TokenIssuer
    tenant: Tenant

    def token(self, *roles: str) -> tuple[tuple[str, str], ...]:
        """Metadata of a caller with these roles, of the tenant."""
        return bearer(self.issuer.mint(tenant=self.tenant.name, roles=list(roles)))


@pytest.fixture
async def wire(world: World, tenant: Tenant, tmp_path: Path) -> AsyncIterator[Wire]:
    """Serves the world on a free port."""
    issuer = TokenIssuer()
    verifier = TokenVerifier(KeyFile(issuer.write_key_set(tmp_path / "jwks.json")), "intelgraph", leeway=0.0)
    settings = load_settings({"grpc": {"port": 0}, "http": {"port": 0}, "drain_s": 5.0})
    async with world.registry as registry:
        authenticator = Authenticator(registry, verifier, None, "platform")
        feed = ChangeFeed(
            world.database,
            world.unsealer,
            world.catalogues,
            world.keystore,
            world.watch,
            authenticator.served,
        )
        services = [
            EntityService(world.entities, feed).service(),
            EnvelopeService(world.keystore, world.keys).service(),
        ]
        server = GatewayServer(settings, Parts(authenticator, make_permissions(), services))
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
                yield Wire(
                    server,
                    entity_pb2_grpc.EntityServiceStub(channel),
                    envelope_pb2_grpc.EnvelopeServiceStub(channel),
                    issuer,
                    tenant,
                )
        finally:
            await server.stop()


async def refused(call: Awaitable[object]) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    """The code, reason and metadata of a refusal."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    refusal = refusal_of(caught.value)
    return refusal.code, refusal.reason, refusal.metadata


async def test_a_version_and_how_far_the_answer_goes(world: World, wire: Wire) -> None:
    await world.ingest(wire.tenant, upsert({"id": "EWR", "at": 1, "n": 1}))
    await world.ingest(wire.tenant, upsert({"id": "JFK", "at": 1}))
    analyst = wire.token("analyst")
    answer = await wire.entities.Get(entity_pb2.GetRequest(entity=EWR), metadata=analyst)
    assert (answer.version.seq, answer.as_of_seq) == (1, 2)
    assert answer.version.document == b'{"at":1,"id":"EWR","n":1}'
    by_id = entity_pb2.EntityRef(dataset="stations", entity_id=answer.version.entity_id)
    assert await wire.entities.Get(entity_pb2.GetRequest(entity=by_id), metadata=analyst) == answer
    as_of = entity_pb2.AsOf(recorded_us=answer.version.recorded_us, valid_us=1)
    bounded = entity_pb2.GetRequest(entity=EWR, as_of=as_of)
    assert await wire.entities.Get(bounded, metadata=analyst) == answer
    to_come = entity_pb2.GetRequest(entity=EWR, as_of=entity_pb2.AsOf(recorded_us=2**62, valid_us=2**62))
    assert await wire.entities.Get(to_come, metadata=analyst) == answer


async def test_a_diff_has_both_versions(world: World, wire: Wire) -> None:
    await world.ingest(wire.tenant, *(upsert({"id": "EWR", "at": at, "n": at}) for at in (1, 2)))
    request = entity_pb2.DiffRequest(entity=EWR, to=entity_pb2.AsOf(valid_us=2))
    getattr(request, "from").valid_us = 1
    answer = await wire.entities.Diff(request, metadata=wire.token("analyst"))
    assert (getattr(answer, "from").seq, answer.to.seq, answer.as_of_seq) == (1, 2, 2)
    assert answer.diff == b'[["r","/at",1,2],["r","/n",1,2]]'
    assert answer.json_patch.count(b'"op":"test"') == 2
    getattr(request, "from").valid_us = 0
    beginning = await wire.entities.Diff(request, metadata=wire.token("analyst"))
    assert not beginning.HasField("from")
    assert beginning.HasField("to")


async def test_refusals_say_what_is_not_there(world: World, wire: Wire) -> None:
    await world.ingest(wire.tenant, upsert({"id": "EWR", "at": 5}))
    analyst = wire.token("analyst")

    async def get(entity: entity_pb2.EntityRef, **moment: int) -> tuple[grpc.StatusCode, str]:
        request = entity_pb2.GetRequest(entity=entity, as_of=entity_pb2.AsOf(**moment))
        code, reason, _ = await refused(wire.entities.Get(request, metadata=analyst))
        return code, reason

    ref = entity_pb2.EntityRef
    missing, wrong = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT
    assert await get(EWR, valid_us=4) == (missing, "NO_VERSION_AS_OF")
    assert await get(ref(dataset="stations", key=b'"JFK"')) == (missing, "ENTITY_UNKNOWN")
    assert await get(ref(dataset="planes", key=b'"JFK"')) == (missing, "DATASET_NOT_FOUND")
    assert await get(ref(dataset="stations")) == (wrong, "ENTITY_MISSING")
    assert await get(ref(dataset="stations", entity_id="EWR")) == (wrong, "ENTITY_ID_INVALID")
    assert await get(ref(dataset="stations", key=b"[]")) == (wrong, "ENTITY_KEY_INVALID")
    foreign = ref(dataset="stations", key=b'"EWR"', tenant="other")
    assert await get(foreign) == (grpc.StatusCode.PERMISSION_DENIED, "TENANT_MISMATCH")
    connector = wire.entities.Get(entity_pb2.GetRequest(entity=EWR), metadata=wire.token("connector"))
    assert (await refused(connector))[1] == "PERMISSION_DENIED"


async def test_a_history_goes_on_where_its_token_says(world: World, wire: Wire) -> None:
    await world.ingest(wire.tenant, *(upsert({"id": "EWR", "at": at, "n": at}) for at in range(1, 61)))
    await world.ingest(wire.tenant, upsert({"id": "JFK", "at": 1}))
    analyst = wire.token("analyst")
    request = entity_pb2.HistoryRequest(entity=EWR)
    first = await wire.entities.History(request, metadata=analyst)
    assert [entry.version.seq for entry in first.entries] == list(range(60, 10, -1))
    assert first.as_of_seq == 61
    request.page_token = first.next_page_token
    second = await wire.entities.History(request, metadata=analyst)
    assert [entry.version.seq for entry in second.entries] == list(range(10, 0, -1))
    assert second.next_page_token == ""
    everything = entity_pb2.HistoryRequest(entity=EWR, page_size=10_000)
    assert len((await wire.entities.History(everything, metadata=analyst)).entries) == 60
    request.entity.key = b'"JFK"'
    _, reason, _ = await refused(wire.entities.History(request, metadata=analyst))
    assert reason == "PAGE_TOKEN_INVALID"


async def test_what_was_altered_is_data_loss_and_named(
    world: World, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.ingest(wire.tenant, upsert({"id": "EWR", "at": 1, "n": "secret-value"}))
    as_of = change_log.as_of

    async def altered(*arguments: Any, **bounds: Any) -> change_log.AsOf:
        found = await as_of(*arguments, **bounds)
        # Ends with the sealed value, a snapshot that is not there, and the contract's number.
        place = len(found.rows) - 20
        rows = found.rows[:place] + bytes([found.rows[place] ^ 1]) + found.rows[place + 1 :]
        return change_log.AsOf(rows, found.watermark)

    monkeypatch.setattr(change_log, "as_of", altered)
    request = entity_pb2.GetRequest(entity=EWR)
    code, reason, metadata = await refused(wire.entities.Get(request, metadata=wire.token("analyst")))
    assert (code, reason) == (grpc.StatusCode.DATA_LOSS, "DATA_CORRUPT")
    assert metadata["seq"] == "1"
    assert "secret-value" not in str(metadata)


async def test_the_feed_streams_until_the_gateway_drains(world: World, wire: Wire) -> None:
    auditor = wire.token("auditor")
    call = wire.entities.Changes(entity_pb2.ChangesRequest(), metadata=auditor)
    for seq in (1, 2):
        await world.ingest(wire.tenant, upsert({"id": "EWR", "at": seq}))
        response = await call.read()
        assert isinstance(response, entity_pb2.ChangesResponse)
        assert ([entry.version.seq for entry in response.entries], response.resume_after_seq) == ([seq], seq)
    draining = asyncio.create_task(wire.server.drain())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(call.read(), 10)
    refusal = refusal_of(caught.value)
    assert (refusal.reason, refusal.retry_after) == ("GATEWAY_DRAINING", 0.5)
    await draining


async def test_a_feed_that_stands_still_ends_with_its_tenant(world: World, wire: Wire) -> None:
    call = wire.entities.Changes(entity_pb2.ChangesRequest(), metadata=wire.token("auditor"))
    waiting = asyncio.create_task(call.read())
    await asyncio.sleep(0.2)
    await world.registry.suspend(wire.tenant.name, by=TESTER)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(waiting, 10)
    assert refusal_of(caught.value).reason == "TENANT_SUSPENDED"


async def test_an_end_that_is_not_there_is_out_of_range(world: World, wire: Wire) -> None:
    call = wire.entities.Changes(entity_pb2.ChangesRequest(after_seq=7), metadata=wire.token("auditor"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    refusal = refusal_of(caught.value)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.OUT_OF_RANGE, "SEQ_BEYOND_LOG")


async def test_messages_are_sealed_and_opened(wire: Wire) -> None:
    service = wire.token("service")
    request = envelope_pb2.EncryptRequest(context=b"c", plaintexts=[b"one", b""], tenant=wire.tenant.name)
    sealed = (await wire.envelopes.Encrypt(request, metadata=service)).envelopes
    opening = envelope_pb2.DecryptRequest(context=b"c", envelopes=[*sealed, b"?"])
    results = (await wire.envelopes.Decrypt(opening, metadata=service)).results
    assert [result.WhichOneof("result") for result in results] == ["plaintext", "plaintext", "error"]
    assert [result.plaintext for result in results] == [b"one", b"", b""]
    request.tenant = "other"
    assert (await refused(wire.envelopes.Encrypt(request, metadata=service)))[1] == "TENANT_MISMATCH"
    opening.tenant = "other"
    assert (await refused(wire.envelopes.Decrypt(opening, metadata=service)))[1] == "TENANT_MISMATCH"
    analyst = wire.envelopes.Decrypt(opening, metadata=wire.token("analyst"))
    assert (await refused(analyst))[1] == "PERMISSION_DENIED"
