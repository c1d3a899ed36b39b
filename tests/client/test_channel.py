"""A token never crosses a network in the clear."""

import pytest

from intelgraph import errors
from intelgraph.client import AsyncClient
from intelgraph.client.channel import is_loopback


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:7443",
        "127.8.9.1:1",
        "localhost:7443",
        "[::1]:7443",
        "dns:///localhost:7443",
        "unix:/run/g.sock",
    ],
)
def test_loopback_needs_no_tls(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1:7443", "gateway:7443", "localhost.evil.example:7443", "[2001:db8::1]:7443", "0.0.0.0:1"],
)
async def test_anything_else_does(address: str) -> None:
    assert not is_loopback(address)
    with pytest.raises(errors.FailedPrecondition, match="TLS_REQUIRED"):
        async with AsyncClient(address, token="t"):
            pytest.fail("the channel must not open")
