"""Fixtures of the gateway's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from intelgraph.gateway.token_keys import KeyFile
from intelgraph.gateway.tokens import TokenVerifier
from tests.gateway.served import Served, serving
from tests.gateway.token_issuer import TokenIssuer


@pytest.fixture(scope="session")
def issuer() -> TokenIssuer:
    """An issuer that the gateway under test trusts."""
    return TokenIssuer()


@pytest.fixture
def tokens(issuer: TokenIssuer, tmp_path: Path) -> TokenVerifier:
    """Verifies the issuer's tokens."""
    return TokenVerifier(KeyFile(issuer.write_key_set(tmp_path / "jwks.json")), "intelgraph", leeway=0.0)


@pytest_asyncio.fixture
async def served(tokens: TokenVerifier) -> AsyncIterator[Served]:
    """A gateway on loopback, with the tenants `acme` and `other`."""
    async with serving(tokens) as running:
        yield running


@pytest_asyncio.fixture
async def channel(served: Served) -> AsyncIterator[grpc.aio.Channel]:
    """A connection to `served`."""
    async with grpc.aio.insecure_channel(served.address) as opened:
        yield opened
