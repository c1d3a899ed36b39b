"""Key sets behind a URL: fetched when needed, kept while the issuer is away, dropped when withdrawn."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from intelgraph.errors import Unavailable
from intelgraph.gateway import token_keys
from intelgraph.gateway.token_keys import KeyUrl
from tests.gateway.token_issuer import TokenIssuer


class KeyServer:
    """An issuer's web server; `status` and `content` are what it answers with."""

    def __init__(self) -> None:
        self.requests = 0
        self.status = 200
        self.content = b"{}"
        self.location = ""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests += 1
                self.send_response(outer.status)
                if outer.location:
                    self.send_header("Location", outer.location)
                self.send_header("Content-Length", str(len(outer.content)))
                self.end_headers()
                self.wfile.write(outer.content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
                """Stays quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/jwks"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})

    def serve(self, issuer: TokenIssuer) -> None:
        """Answers with the issuer's keys."""
        self.status, self.content = 200, json.dumps(issuer.key_set()).encode()


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    server = KeyServer()
    server.thread.start()
    yield server
    server.http.shutdown()
    server.thread.join()
    server.http.server_close()


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(token_keys, "time", moved)
    return moved


@pytest.fixture
def renamed() -> TokenIssuer:
    """An issuer whose key ids are others than those of `issuer`."""
    other = TokenIssuer()
    other.keys = {f"new-{kid}": key for kid, key in other.keys.items()}
    return other


async def test_fetched_once_and_kept(key_server: KeyServer, issuer: TokenIssuer) -> None:
    key_server.serve(issuer)
    source = KeyUrl(key_server.url)
    for kid in ("EdDSA", "ES256", "RS256", "EdDSA"):
        assert await source.key(kid) is not None
    assert key_server.requests == 1


async def test_unknown_key_fetches_again_but_not_at_every_call(
    key_server: KeyServer, issuer: TokenIssuer, renamed: TokenIssuer, clock: Clock
) -> None:
    key_server.serve(issuer)
    source = KeyUrl(key_server.url)
    assert await source.key("EdDSA") is not None
    for _ in range(5):
        assert await source.key("new-EdDSA") is None
    assert key_server.requests == 1, "made-up key ids must not make the gateway hammer the issuer"
    clock.now += 11
    key_server.serve(renamed)
    assert await source.key("new-EdDSA") is not None
    assert key_server.requests == 2
    assert await source.key("EdDSA") is None, "a withdrawn key is dropped with the next fetch"


async def test_old_set_is_fetched_again_in_the_background(
    key_server: KeyServer, issuer: TokenIssuer, renamed: TokenIssuer, clock: Clock
) -> None:
    key_server.serve(issuer)
    source = KeyUrl(key_server.url)
    await source.key("EdDSA")
    key_server.serve(renamed)
    clock.now += 301
    assert await source.key("EdDSA") is not None, "nobody waits for the issuer"
    assert source._fetching is not None
    await source._fetching
    assert await source.key("EdDSA") is None


async def test_set_outlives_its_issuer_for_an_hour(
    key_server: KeyServer, issuer: TokenIssuer, clock: Clock
) -> None:
    key_server.serve(issuer)
    source = KeyUrl(key_server.url)
    await source.key("EdDSA")
    key_server.status = 500
    clock.now += 3500
    assert await source.key("EdDSA") is not None
    clock.now += 200
    with pytest.raises(Unavailable, match="JWKS_UNREACHABLE"):
        await source.key("EdDSA")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"keys": []}', b"\xff"])
async def test_unusable_answer(key_server: KeyServer, content: bytes) -> None:
    key_server.content = content
    with pytest.raises(Unavailable, match="JWKS_UNREACHABLE") as refused:
        await KeyUrl(key_server.url).key("EdDSA")
    assert refused.value.retry_after == 1.0


async def test_redirect_is_not_followed(key_server: KeyServer, issuer: TokenIssuer) -> None:
    key_server.serve(issuer)
    key_server.status, key_server.location = 302, key_server.url
    with pytest.raises(Unavailable, match="JWKS_UNREACHABLE"):
        await KeyUrl(key_server.url).key("EdDSA")
    assert key_server.requests == 1


async def test_nobody_listens() -> None:
    with pytest.raises(Unavailable, match="JWKS_UNREACHABLE"):
        await KeyUrl("http://127.0.0.1:9/jwks").key("EdDSA")
