"""The server's life, and gRPC's own services on it."""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from intelgraph.gateway import server as server_module
from intelgraph.gateway.ports import bound_socket, reserve
from intelgraph.gateway.settings import ConfigurationError
from intelgraph.gateway.tokens import TokenVerifier
from tests.gateway.pki import Authority
from tests.gateway.served import RawStream, Served, bearer, refusal_of, serving
from tests.gateway.token_issuer import TokenIssuer

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def health_stub(channel: grpc.aio.Channel) -> Any:
    """gRPC's own stubs have no types for asyncio."""
    return health_pb2_grpc.HealthStub(channel)


async def reflected_services(
    channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...] = ()
) -> set[str]:
    """Names of the services as reflection lists them."""
    # Its types know no asyncio.
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async for response in stub.ServerReflectionInfo(iter([request]), metadata=metadata):
        return {service.name for service in response.list_services_response.service}
    return set()


async def test_health_needs_no_token(channel: grpc.aio.Channel) -> None:
    health = health_stub(channel)
    for name in ("", "intelgraph.gateway.v1.EntityService", "intelgraph.gateway.v1.IngestService"):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == SERVING
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await health.Check(health_pb2.HealthCheckRequest(service="made.up"))
    assert failed.value.code() is grpc.StatusCode.NOT_FOUND


async def test_health_watchers_are_told_of_the_drain(served: Served, channel: grpc.aio.Channel) -> None:
    health = health_stub(channel)
    watch = health.Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == SERVING
    draining = asyncio.create_task(served.server.drain())
    assert (await watch.read()).status == NOT_SERVING
    async with asyncio.timeout(4):
        await draining


async def test_reflection_lists_the_services(channel: grpc.aio.Channel) -> None:
    assert await reflected_services(channel) == {
        "intelgraph.gateway.v1.EntityService",
        "intelgraph.gateway.v1.IngestService",
        "grpc.health.v1.Health",
        "grpc.channelz.v1.Channelz",
        "grpc.reflection.v1alpha.ServerReflection",
    }


async def test_reflection_beyond_loopback_needs_an_identity(
    tokens: TokenVerifier, issuer: TokenIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "is_loopback", lambda _host: False)
    async with serving(tokens) as served, grpc.aio.insecure_channel(served.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await reflected_services(channel)
        assert refusal_of(failed.value).reason == "IDENTITY_MISSING"
        assert await reflected_services(channel, bearer(issuer.mint(roles=[])))


async def test_drain_refuses_new_calls_and_waits_for_those_that_run(
    served: Served, channel: grpc.aio.Channel, issuer: TokenIssuer
) -> None:
    stream: RawStream = channel.stream_stream("/intelgraph.gateway.v1.IngestService/Stream")
    call = stream(metadata=bearer(issuer.mint(roles=["connector"])))
    await call.write(b"1")
    assert await call.read() == b"acme1"
    draining = asyncio.create_task(served.server.drain())
    async with httpx.AsyncClient() as http:
        async with asyncio.timeout(5):
            while (await http.get(f"http://{served.http}/readyz")).status_code != 503:  # noqa: ASYNC110 - as a probe does
                await asyncio.sleep(0.01)
        assert (await http.get(f"http://{served.http}/livez")).status_code == 200
    assert not draining.done()
    await call.write(b"2")
    assert await call.read() == b"acme2", "what is in flight is still answered"
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    await draining
    async with grpc.aio.insecure_channel(served.address) as late:
        second: RawStream = late.stream_stream("/intelgraph.gateway.v1.IngestService/Stream")
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await second(metadata=bearer(issuer.mint(roles=["connector"]))).read()
        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_drain_cancels_what_does_not_end(tokens: TokenVerifier, issuer: TokenIssuer) -> None:
    async with (
        serving(tokens, {"drain_s": 0.2}) as served,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        stream: RawStream = channel.stream_stream("/intelgraph.gateway.v1.IngestService/Stream")
        call = stream(metadata=bearer(issuer.mint(roles=["connector"])))
        await call.write(b"1")
        await call.read()
        async with asyncio.timeout(4):
            await served.server.drain()
            with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
                await call.read()


async def test_second_drain_does_nothing(served: Served) -> None:
    await served.server.drain()
    await served.server.drain()
    assert served.drained == ["ingest"]


@pytest.mark.parametrize("part", ["grpc", "http"])
async def test_port_in_use_is_named(tokens: TokenVerifier, part: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError) as refused:
            async with serving(tokens, {part: {"port": port}}):
                pass
        assert refused.value.wrong[0].name == f"{part}.port"
        assert str(port) in refused.value.wrong[0].problem


def test_unknown_address_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"grpc\.port"):
        bound_socket("192.0.2.1", 0, setting="grpc")


def test_reserved_port_is_shared_by_workers_only() -> None:
    held = reserve("127.0.0.1", 0, setting="grpc")
    port = held.getsockname()[1]
    with held, bound_socket("127.0.0.1", port, setting="grpc", shared=True) as worker:
        worker.listen()
        bound_socket("127.0.0.1", port, setting="grpc", shared=True).close()
        with pytest.raises(ConfigurationError):
            bound_socket("127.0.0.1", port, setting="grpc")
        with pytest.raises(ConfigurationError):
            reserve("127.0.0.1", port, setting="grpc")


async def test_message_beyond_the_limit_is_refused(tokens: TokenVerifier, issuer: TokenIssuer) -> None:
    async with (
        serving(tokens, {"grpc": {"port": 0, "max_message_bytes": 1 << 20}}) as served,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        stream: RawStream = channel.stream_stream("/intelgraph.gateway.v1.IngestService/Stream")
        call = stream(metadata=bearer(issuer.mint(roles=["connector"])))
        await call.write(b"x" * ((1 << 20) + 1))
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await call.read()
        assert failed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_metrics_beyond_loopback(
    tokens: TokenVerifier, issuer: TokenIssuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path, "authority")
    issued = authority.issue_server()
    monkeypatch.setattr(server_module, "is_loopback", lambda _host: False)
    flags = {"tls": {"certificate": issued.certificate, "key": issued.key}}
    async with serving(tokens, flags) as served:
        trust = ssl.create_default_context(cafile=authority.certificate)
        base = f"https://localhost:{served.server.http_port}"
        async with httpx.AsyncClient(verify=trust) as http:
            assert (await http.get(f"{base}/livez")).status_code == 200
            assert (await http.get(f"{base}/readyz")).status_code == 200
            for headers, status, reason in (
                ({}, 401, "TOKEN_MALFORMED"),
                (dict(bearer("x.y.z")), 401, "TOKEN_MALFORMED"),
                (dict(bearer(issuer.mint(roles=["analyst"]))), 403, "PERMISSION_DENIED"),
                (dict(bearer(issuer.mint(roles=["operator"]))), 403, "PLATFORM_TENANT_ONLY"),
            ):
                answer = await http.get(f"{base}/metrics", headers=headers)
                assert (answer.status_code, answer.json()["reason"]) == (status, reason)
            token = issuer.mint(tenant="platform", roles=["auditor"])
            answer = await http.get(f"{base}/metrics", headers=dict(bearer(token)))
            assert answer.status_code == 200
            assert "grpc_server_started_total" in answer.text
