"""The one gate: who is let in, for which tenant, with which permission, and what the others are told."""

import asyncio
import logging
import time
from types import SimpleNamespace
from typing import Any, TypeAlias, cast

import grpc
import pytest
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from prometheus_client import REGISTRY

from intelgraph.errors import FieldViolation, InvalidArgument, ResourceExhausted
from intelgraph.gateway import interceptor
from intelgraph.gateway.interceptor import AccessInterceptor
from intelgraph.gateway.v1 import entity_pb2, entity_pb2_grpc
from intelgraph.tenants.registry import TenantState
from tests.gateway.served import RawStream, RawUnary, Refusal, Served, bearer, refusal_of
from tests.gateway.token_issuer import TokenIssuer

EntityStub: TypeAlias = "entity_pb2_grpc.EntityServiceAsyncStub"


@pytest.fixture
def entities(channel: grpc.aio.Channel) -> EntityStub:
    return entity_pb2_grpc.EntityServiceStub(channel)


async def refused_get(
    entities: EntityStub, metadata: tuple[tuple[str, str], ...], request: entity_pb2.GetRequest | None = None
) -> Refusal:
    """What a Get is refused with."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await entities.Get(request or entity_pb2.GetRequest(), metadata=metadata)
    return refusal_of(failed.value)


async def next_seq(call: "grpc.aio.UnaryStreamCall[Any, entity_pb2.ChangesResponse]") -> int:
    """The next change of a stream."""
    response = await call.read()
    assert isinstance(response, entity_pb2.ChangesResponse)
    return response.resume_after_seq


async def test_identity_reaches_the_handler(
    served: Served, entities: EntityStub, issuer: TokenIssuer
) -> None:
    await entities.Get(entity_pb2.GetRequest(), metadata=bearer(issuer.mint()))
    (identity,) = served.entities.identities
    assert identity.tenant == served.directory.tenants["acme"]
    assert (identity.subject, identity.method) == ("ada", "jwt")
    assert identity.roles == {"analyst"}
    assert 290 < identity.expires_at - time.time() <= 300


async def test_scheme_is_case_insensitive(entities: EntityStub, issuer: TokenIssuer) -> None:
    await entities.Get(entity_pb2.GetRequest(), metadata=(("authorization", f"bEaReR {issuer.mint()}"),))


async def test_long_token_is_read(entities: EntityStub, issuer: TokenIssuer) -> None:
    await entities.Get(entity_pb2.GetRequest(), metadata=bearer(issuer.mint(groups="g" * 10_000)))


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ((), "IDENTITY_MISSING"),
        ((("authorization", "Basic YTpi"),), "TOKEN_MALFORMED"),
        ((("authorization", "Bearer a"), ("authorization", "Bearer b")), "TOKEN_MALFORMED"),
        ((("authorization", "Bearer "),), "TOKEN_MALFORMED"),
    ],
)
async def test_unknown_caller(
    served: Served, entities: EntityStub, metadata: tuple[tuple[str, str], ...], reason: str
) -> None:
    refusal = await refused_get(entities, metadata)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, reason)
    assert refusal.metadata["fix"]
    assert not served.entities.identities


async def test_expired_token(entities: EntityStub, issuer: TokenIssuer) -> None:
    refusal = await refused_get(entities, bearer(issuer.mint(exp=int(time.time()) - 1)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")


async def test_permission_of_another_role(served: Served, entities: EntityStub, issuer: TokenIssuer) -> None:
    refusal = await refused_get(entities, bearer(issuer.mint(roles=["connector", "made-up"])))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    assert refusal.metadata["permission"] == "entity.read"
    assert "analyst" not in str(refusal), "a denial says which permission was missing, and no more"
    assert not served.entities.identities


@pytest.mark.parametrize(
    ("tenant", "state", "reason"),
    [
        ("nobody", None, "TENANT_UNKNOWN"),
        ("other", TenantState.SUSPENDED, "TENANT_SUSPENDED"),
        ("other", TenantState.OFFBOARDED, "TENANT_OFFBOARDED"),
    ],
)
async def test_tenant_that_is_not_served(
    served: Served,
    entities: EntityStub,
    issuer: TokenIssuer,
    tenant: str,
    state: TenantState | None,
    reason: str,
) -> None:
    if state is not None:
        served.directory.set_state(tenant, state)
    refusal = await refused_get(entities, bearer(issuer.mint(tenant=tenant)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, reason)


async def test_request_that_names_another_tenant(
    served: Served, entities: EntityStub, issuer: TokenIssuer
) -> None:
    metadata = bearer(issuer.mint())
    foreign = entity_pb2.GetRequest(entity=entity_pb2.EntityRef(tenant="other"))
    refusal = await refused_get(entities, metadata, foreign)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "TENANT_MISMATCH")
    assert not served.entities.identities
    await entities.Get(entity_pb2.GetRequest(entity=entity_pb2.EntityRef(tenant="acme")), metadata=metadata)


async def test_stream_request_that_names_another_tenant(entities: EntityStub, issuer: TokenIssuer) -> None:
    call = entities.Changes(entity_pb2.ChangesRequest(tenant="other"), metadata=bearer(issuer.mint()))
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call.read()
    assert refusal_of(failed.value).reason == "TENANT_MISMATCH"


async def test_malformed_request_is_looked_at_only_behind_the_gate(
    channel: grpc.aio.Channel, issuer: TokenIssuer
) -> None:
    get: RawUnary = channel.unary_unary("/intelgraph.gateway.v1.EntityService/Get")
    for metadata, code, reason in (
        ((), grpc.StatusCode.UNAUTHENTICATED, "IDENTITY_MISSING"),
        (bearer(issuer.mint()), grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await get(b"\xff\xff\xff", metadata=metadata)
        assert (refusal_of(failed.value).code, refusal_of(failed.value).reason) == (code, reason)


async def test_method_without_a_rule_is_denied(
    served: Served, channel: grpc.aio.Channel, issuer: TokenIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/intelgraph.gateway.v1.EntityService/Get"
    interceptor: AccessInterceptor = served.server._interceptor
    rules = {key: rule for key, rule in interceptor._rules.items() if key != path}
    monkeypatch.setattr(interceptor, "_rules", rules)
    get: RawUnary = channel.unary_unary(path)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await get(b"", metadata=bearer(issuer.mint(roles=["operator", "analyst"])))
    refusal = refusal_of(failed.value)
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "METHOD_WITHOUT_PERMISSION",
    )


async def test_unknown_method(channel: grpc.aio.Channel, issuer: TokenIssuer) -> None:
    steal: RawUnary = channel.unary_unary("/intelgraph.gateway.v1.EntityService/Steal")
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await steal(b"", metadata=bearer(issuer.mint()))
    assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_foreseen_error_arrives_whole(
    served: Served, entities: EntityStub, issuer: TokenIssuer
) -> None:
    served.entities.failure = ResourceExhausted(
        "LIMIT", "too much", fix="wait", metadata={"limit": "streams"}, retry_after=1.5
    )
    refusal = await refused_get(entities, bearer(issuer.mint()))
    assert refusal == Refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "too much", "LIMIT", {"fix": "wait", "limit": "streams"}, 1.5
    )


async def test_violations_arrive_as_bad_request(
    served: Served, entities: EntityStub, issuer: TokenIssuer
) -> None:
    served.entities.failure = InvalidArgument(
        "WRONG", "wrong", violations=(FieldViolation("0/a", "is no number"),)
    )
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await entities.Get(entity_pb2.GetRequest(), metadata=bearer(issuer.mint()))
    details = dict(failed.value.trailing_metadata() or ())["grpc-status-details-bin"]
    assert b"google.rpc.BadRequest" in details
    assert b"0/a" in details


async def test_unforeseen_error_tells_nothing(
    served: Served, entities: EntityStub, issuer: TokenIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    served.entities.failure = ValueError("could not convert 'N14228' to float")
    with caplog.at_level(logging.ERROR):
        refusal = await refused_get(entities, bearer(issuer.mint()))
    assert (refusal.code, refusal.reason, refusal.message) == (
        grpc.StatusCode.INTERNAL,
        "INTERNAL",
        "internal error",
    )
    (record,) = [record for record in caplog.records if record.name == "intelgraph.errors"]
    assert vars(record)["correlation_id"] == refusal.metadata["correlation_id"]
    assert "ValueError at" in vars(record)["causes"][0]
    assert "N14228" not in str(vars(record))


async def test_raw_stream_gets_bytes_and_its_identity(channel: grpc.aio.Channel, issuer: TokenIssuer) -> None:
    stream: RawStream = channel.stream_stream("/intelgraph.gateway.v1.IngestService/Stream")
    call = stream(metadata=bearer(issuer.mint(roles=["connector"])))
    for frame in (b"\xff\x00", b"", b"a" * 1_000_000):
        await call.write(frame)
        assert await call.read() == b"acme" + frame
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_raw_stream_of_an_unknown_caller(channel: grpc.aio.Channel, issuer: TokenIssuer) -> None:
    stream: RawStream = channel.stream_stream("/intelgraph.gateway.v1.IngestService/Stream")
    call = stream(metadata=bearer(issuer.mint(roles=["analyst"])))
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call.read()
    assert refusal_of(failed.value).reason == "PERMISSION_DENIED"


async def test_server_stream_ends_when_the_token_expires(
    served: Served, entities: EntityStub, issuer: TokenIssuer
) -> None:
    expires = time.time() + 1.2
    call = entities.Changes(entity_pb2.ChangesRequest(), metadata=bearer(issuer.mint(exp=expires)))
    served.entities.changes.put_nowait(1)
    assert await next_seq(call) == 1
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call.read()
    assert time.time() >= expires - 0.01
    refusal = refusal_of(failed.value)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")


async def test_server_stream_ends_when_the_tenant_is_suspended(
    served: Served, entities: EntityStub, issuer: TokenIssuer
) -> None:
    call = entities.Changes(entity_pb2.ChangesRequest(), metadata=bearer(issuer.mint()))
    served.entities.changes.put_nowait(1)
    assert await next_seq(call) == 1
    served.directory.set_state("acme", TenantState.SUSPENDED)
    served.entities.changes.put_nowait(2)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call.read()
    assert refusal_of(failed.value).reason == "TENANT_SUSPENDED"
    assert served.entities.ended.is_set(), "what the handler held is given back at once"


async def test_server_stream_that_ends_by_itself(
    served: Served, entities: EntityStub, issuer: TokenIssuer
) -> None:
    call = entities.Changes(entity_pb2.ChangesRequest(), metadata=bearer(issuer.mint()))
    for seq in (1, 2, -1):
        served.entities.changes.put_nowait(seq)
    assert [response.resume_after_seq async for response in call] == [1, 2]


async def test_drain_ends_server_streams(served: Served, entities: EntityStub, issuer: TokenIssuer) -> None:
    call = entities.Changes(entity_pb2.ChangesRequest(), metadata=bearer(issuer.mint()))
    served.entities.changes.put_nowait(1)
    await call.read()
    begun = time.monotonic()
    draining = asyncio.create_task(served.server.drain())
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call.read()
    await draining
    refusal = refusal_of(failed.value)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "GATEWAY_DRAINING")
    assert refusal.retry_after is not None
    assert time.monotonic() - begun < 4
    assert served.drained == ["ingest"]


async def test_channelz_is_for_operators(channel: grpc.aio.Channel, issuer: TokenIssuer) -> None:
    channelz = channelz_pb2_grpc.ChannelzStub(channel)  # type: ignore[arg-type] # its stubs know no aio
    request = channelz_pb2.GetServersRequest()
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await channelz.GetServers(request, metadata=bearer(issuer.mint()))
    assert refusal_of(failed.value).reason == "PERMISSION_DENIED"
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await channelz.GetServers(request, metadata=bearer(issuer.mint(roles=["operator"])))
    assert refusal_of(failed.value).reason == "PLATFORM_TENANT_ONLY"
    metadata = bearer(issuer.mint(tenant="platform", roles=["operator"]))
    assert (await channelz.GetServers(request, metadata=metadata)).server


def handled(method: str, code: str) -> float:
    """The count of ended RPCs."""
    labels = {"grpc_service": "intelgraph.gateway.v1.EntityService", "grpc_method": method, "grpc_code": code}
    return REGISTRY.get_sample_value("grpc_server_handled_total", labels) or 0.0


async def test_rpcs_are_counted_by_outcome(served: Served, entities: EntityStub, issuer: TokenIssuer) -> None:
    codes = ("OK", "UNAUTHENTICATED", "INTERNAL")
    before = {code: handled("Get", code) for code in codes}
    await entities.Get(entity_pb2.GetRequest(), metadata=bearer(issuer.mint()))
    await refused_get(entities, ())
    served.entities.failure = RuntimeError()
    await refused_get(entities, bearer(issuer.mint()))
    assert {code: handled("Get", code) - before[code] for code in codes} == dict.fromkeys(codes, 1.0)
    labels = {"grpc_service": "intelgraph.gateway.v1.EntityService", "grpc_method": "Get"}
    assert REGISTRY.get_sample_value("grpc_server_in_flight", labels) == 0
    assert REGISTRY.get_sample_value("grpc_server_handling_seconds_count", labels)


async def test_cancelled_stream_is_counted_as_cancelled(
    served: Served, entities: EntityStub, issuer: TokenIssuer
) -> None:
    before = handled("Changes", "CANCELLED")
    call = entities.Changes(entity_pb2.ChangesRequest(), metadata=bearer(issuer.mint()))
    served.entities.changes.put_nowait(1)
    await call.read()
    call.cancel()
    async with asyncio.timeout(5):
        while handled("Changes", "CANCELLED") == before:  # noqa: ASYNC110 - a counter has no event
            await asyncio.sleep(0.01)


async def test_caller_who_hung_up_is_no_alarm(
    served: Served, entities: EntityStub, issuer: TokenIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """What gRPC raises where a write races the end of the call."""
    served.entities.failure = grpc.aio.InternalError("the call has ended")
    with caplog.at_level(logging.DEBUG), pytest.raises(grpc.aio.AioRpcError):
        await entities.Get(entity_pb2.GetRequest(), metadata=bearer(issuer.mint()), timeout=1)
    assert [record.message for record in caplog.records if "caller gone" in record.message]
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


async def test_caller_who_hangs_up_while_being_refused_is_no_alarm(
    served: Served,
    entities: EntityStub,
    issuer: TokenIssuer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def aborted(*_: object, **__: object) -> None:
        raise grpc.aio.InternalError("the call has ended")

    served.entities.failure = ResourceExhausted("DISK_FULL", "full", fix="make room")
    refuse = interceptor._Gate._refuse

    async def racing(self: Any, error: Exception, context: Any, outcome: Any) -> None:
        raced = SimpleNamespace(abort=aborted, done=context.done, peer=context.peer)
        await refuse(self, error, cast("Any", raced), outcome)

    monkeypatch.setattr(interceptor._Gate, "_refuse", racing)
    with caplog.at_level(logging.DEBUG), pytest.raises(grpc.aio.AioRpcError):
        await entities.Get(entity_pb2.GetRequest(), metadata=bearer(issuer.mint()), timeout=1)
    assert [record.message for record in caplog.records if "caller gone" in record.message]
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
