"""Tokens are fetched once, renewed in time and never shown."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import time

import pytest

from intelgraph import errors
from intelgraph.client import AccessToken, AsyncClient, RetryPolicy
from intelgraph.client.tokens import TokenSource
from tests.client.fake_gateway import FakeGateway, ingest, serving
from tests.client.waiting import eventually


def jwt(claims: dict[str, object]) -> str:
    parts = ({"alg": "none"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, "signature"])


def test_reads_the_expiry_of_a_jwt() -> None:
    assert AccessToken.of(jwt({"exp": 1234})).expires_at == 1234


@pytest.mark.parametrize("token", ["opaque", "a.b.c", jwt({}), jwt({"exp": "soon"}), "a.!.c"])
def test_takes_any_other_token_as_lasting(token: str) -> None:
    assert math.isinf(AccessToken.of(token).expires_at)


def test_does_not_show_the_token() -> None:
    assert "secret" not in repr(AccessToken("secret"))


async def test_concurrent_callers_share_one_fetch() -> None:
    calls = 0

    async def provider() -> str:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.01)
        return "token"

    source = TokenSource(provider)
    tokens = await asyncio.gather(*(source.get() for _ in range(5)))
    assert {token.value for token in tokens if token} == {"token"}
    assert calls == 1


async def test_fetches_again_shortly_before_expiry() -> None:
    values = iter("abc")
    source = TokenSource(lambda: AccessToken(next(values), time.time() + 0.5))
    first = await source.get()
    assert await source.get() is first
    assert 0.3 < source.renew_in <= 0.4
    await asyncio.sleep(source.renew_in)
    second = await source.get()
    assert second is not None
    assert second.value == "b"


async def test_fetches_again_once_the_gateway_refused() -> None:
    values = iter("abc")
    source = TokenSource(lambda: next(values))
    first = await source.get()
    source.discard(first)
    second = await source.get()
    assert second is not None
    assert second.value == "b"
    source.discard(first)
    assert await source.get() is second


async def test_a_stream_outlives_its_tokens() -> None:
    gateway = FakeGateway()
    issued: list[str] = []

    def provider() -> AccessToken:
        issued.append(f"token-{len(issued)}")
        return AccessToken(issued[-1], time.time() + 0.75)

    async with (
        serving(ingest(gateway)) as address,
        AsyncClient(address, token=provider) as client,
        client.stream("weather", "s", producer="test") as stream,
    ):
        async with asyncio.timeout(5):
            while len(gateway.refreshes) < 2:
                await stream.send({"n": 1})
                await asyncio.sleep(0.02)
    assert gateway.tokens == ["token-0"]
    assert gateway.refreshes == issued[1 : len(gateway.refreshes) + 1]


async def test_a_stream_outlives_a_provider_that_fails() -> None:
    gateway = FakeGateway()
    calls = 0

    def provider() -> AccessToken:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise OSError("the identity provider is away")
        return AccessToken("token", time.time() + 0.5)

    async with (
        serving(ingest(gateway)) as address,
        AsyncClient(address, token=provider) as client,
        client.stream("weather", "s", producer="test") as stream,
    ):
        await eventually(lambda: calls >= 2)
        await stream.send({"n": 1})
        assert (await stream.flush()).accepted == 1


async def test_a_refused_token_is_replaced_once() -> None:
    gateway = FakeGateway()
    gateway.accepts = lambda token: token == "good"
    values = iter(["stale", "good"])
    async with (
        serving(ingest(gateway)) as address,
        AsyncClient(address, token=lambda: next(values)) as client,
        client.stream("weather", "s", producer="test") as stream,
    ):
        await stream.send({"n": 1})
    assert gateway.tokens == ["stale", "good"]


@pytest.mark.parametrize("renewable", [True, False])
async def test_a_token_that_stays_refused_raises(renewable: bool) -> None:
    gateway = FakeGateway()
    gateway.accepts = lambda token: False
    token = (lambda: "stale") if renewable else "stale"
    async with (
        serving(ingest(gateway)) as address,
        AsyncClient(address, token=token, retry=RetryPolicy(5.0)) as client,
    ):
        with pytest.raises(errors.Unauthenticated, match="TOKEN_EXPIRED"):
            async with client.stream("weather", "s", producer="test"):
                pytest.fail("the stream must not open")
    assert len(gateway.tokens) == (2 if renewable else 1)
