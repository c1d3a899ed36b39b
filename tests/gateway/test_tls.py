"""TLS: who may connect, whose certificate counts as whom, and new certificates without a restart."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509

from intelgraph.errors import Unauthenticated
from intelgraph.gateway.certificates import identity_of
from intelgraph.gateway.tls import ServerTls, TlsFiles
from intelgraph.gateway.tokens import TokenVerifier
from intelgraph.gateway.v1 import entity_pb2, entity_pb2_grpc
from tests.gateway.pki import Authority, Issued
from tests.gateway.served import Served, bearer, refusal_of, serving
from tests.gateway.token_issuer import TokenIssuer

ADA = "spiffe://example.org/tenant/acme/role/analyst+auditor/ada"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def server_certificate(authority: Authority) -> Issued:
    return authority.issue_server()


def tls_flags(authority: Authority, issued: Issued, *, clients: bool) -> dict[str, Any]:
    """Flags of a gateway with TLS; `clients` makes it require their certificates."""
    tls: dict[str, Any] = {"certificate": issued.certificate, "key": issued.key}
    if clients:
        tls |= {"client_ca": authority.certificate, "trust_domain": "example.org"}
    return {"tls": tls}


@contextlib.asynccontextmanager
async def connected(
    served: Served, authority: Authority, client: Issued | None = None
) -> AsyncIterator[grpc.aio.Channel]:
    """A TLS connection, with a client certificate if one is given."""
    credentials = grpc.ssl_channel_credentials(
        authority.certificate.read_bytes(),
        client.key.read_bytes() if client else None,
        client.pem if client else None,
    )
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(served.address, credentials, options=options) as channel:
        yield channel


async def get(channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...] = ()) -> None:
    await entity_pb2_grpc.EntityServiceStub(channel).Get(
        entity_pb2.GetRequest(), metadata=metadata, timeout=5
    )


async def reason_of(channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...] = ()) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await get(channel, metadata)
    return refusal_of(failed.value).reason


async def presented_serial(port: int) -> int:
    """Serial number of the certificate that a listener presents."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(der).serial_number
    finally:
        writer.close()
        with contextlib.suppress(ssl.SSLError):  # gRPC ends a connection that speaks no HTTP/2
            await writer.wait_closed()


async def test_token_over_tls(
    authority: Authority, server_certificate: Issued, tokens: TokenVerifier, issuer: TokenIssuer
) -> None:
    async with (
        serving(tokens, tls_flags(authority, server_certificate, clients=False)) as served,
        connected(served, authority) as channel,
    ):
        await get(channel, bearer(issuer.mint()))
        assert await reason_of(channel) == "IDENTITY_MISSING"


async def test_plain_text_does_not_reach_a_tls_port(
    authority: Authority, server_certificate: Issued, tokens: TokenVerifier, issuer: TokenIssuer
) -> None:
    async with (
        serving(tokens, tls_flags(authority, server_certificate, clients=False)) as served,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await get(channel, bearer(issuer.mint()))
        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
        assert not served.entities.identities


async def test_certificate_is_an_identity(authority: Authority, server_certificate: Issued) -> None:
    client = authority.issue_client(ADA)
    async with (
        serving(None, tls_flags(authority, server_certificate, clients=True)) as served,
        connected(served, authority, client) as channel,
    ):
        await get(channel)
        (identity,) = served.entities.identities
        assert identity.tenant.name == "acme"
        assert identity.subject == "ada"
        assert identity.roles == {"analyst", "auditor"}
        assert identity.method == "mtls"
        assert identity.machine
        expires = x509.load_pem_x509_certificate(client.pem).not_valid_after_utc.timestamp()
        assert identity.expires_at == expires


async def test_connection_without_a_certificate_is_refused(
    authority: Authority, server_certificate: Issued, tokens: TokenVerifier, issuer: TokenIssuer
) -> None:
    async with (
        serving(tokens, tls_flags(authority, server_certificate, clients=True)) as served,
        connected(served, authority) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await get(channel, bearer(issuer.mint()))
        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_certificate_of_another_authority_is_refused(
    authority: Authority, server_certificate: Issued, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger").issue_client(ADA, "strange-client")
    async with (
        serving(None, tls_flags(authority, server_certificate, clients=True)) as served,
        connected(served, authority, stranger) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await get(channel)
        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("spiffe://elsewhere.org/tenant/acme/role/analyst/ada", "IDENTITY_MISSING"),
        ("https://example.org/tenant/acme/role/analyst/ada", "IDENTITY_MISSING"),
        ("spiffe://example.org/ns/acme/sa/ada", "IDENTITY_MISSING"),
        ("spiffe://example.org/tenant/nobody/role/analyst/ada", "TENANT_UNKNOWN"),
        ("spiffe://example.org/tenant/acme/role/connector/ada", "PERMISSION_DENIED"),
    ],
)
async def test_certificate_that_may_not(
    authority: Authority, server_certificate: Issued, uri: str, reason: str
) -> None:
    client = authority.issue_client(uri)
    async with (
        serving(None, tls_flags(authority, server_certificate, clients=True)) as served,
        connected(served, authority, client) as channel,
    ):
        assert await reason_of(channel) == reason


async def test_token_and_certificate_together(
    authority: Authority, server_certificate: Issued, tokens: TokenVerifier, issuer: TokenIssuer
) -> None:
    async with serving(tokens, tls_flags(authority, server_certificate, clients=True)) as served:
        async with connected(served, authority, authority.issue_client(ADA)) as channel:
            await get(channel, bearer(issuer.mint(sub="grace")))
            assert served.entities.identities[-1].subject == "grace", "the token says who calls"
            assert await reason_of(channel, bearer(issuer.mint(tenant="other"))) == "IDENTITY_MISMATCH"
            assert await reason_of(channel, bearer("made.up.token")) == "TOKEN_MALFORMED"
        proxy = authority.issue("proxy", x509.DNSName("proxy.example.org"))
        async with connected(served, authority, proxy) as channel:
            await get(channel, bearer(issuer.mint(tenant="other")))
            assert await reason_of(channel) == "IDENTITY_MISSING"


async def test_token_where_only_certificates_count(
    authority: Authority, server_certificate: Issued, issuer: TokenIssuer
) -> None:
    async with (
        serving(None, tls_flags(authority, server_certificate, clients=True)) as served,
        connected(served, authority, authority.issue_client(ADA)) as channel,
    ):
        assert await reason_of(channel, bearer(issuer.mint())) == "TOKEN_NOT_ACCEPTED"


def test_several_uris_are_refused(authority: Authority) -> None:
    issued = authority.issue(
        "twofold", x509.UniformResourceIdentifier(ADA), x509.UniformResourceIdentifier(ADA + "2")
    )
    with pytest.raises(Unauthenticated, match="CERTIFICATE_NAMES"):
        identity_of(issued.pem)


def test_certificate_without_names(authority: Authority) -> None:
    assert identity_of(authority.issue("bare").pem) is None


@pytest.mark.parametrize(
    "uri",
    [
        "spiffe://example.org/tenant/acme/role//ada",
        "spiffe://example.org/tenant/acme/role/analyst+/ada",
        "spiffe://example.org/tenant/ACME/role/analyst/ada",
        "spiffe://example.org/tenant/acme/role/analyst/",
        "spiffe://example.org/tenant/acme/role/analyst/ada?x=1",
        "spiffe://example.org:1/tenant/acme/role/analyst/ada",
    ],
)
def test_names_that_are_nearly_right(authority: Authority, uri: str) -> None:
    assert identity_of(authority.issue_client(uri).pem) is None


async def test_new_certificate_without_restart(
    authority: Authority, server_certificate: Issued, tokens: TokenVerifier, issuer: TokenIssuer
) -> None:
    async with serving(tokens, tls_flags(authority, server_certificate, clients=False)) as served:
        assert await presented_serial(served.server.grpc_port) == server_certificate.serial
        async with connected(served, authority) as channel:
            await get(channel, bearer(issuer.mint()))
            old = server_certificate.serial
            renewed = authority.issue_server()  # the same files
            assert renewed.serial != old
            assert await presented_serial(served.server.grpc_port) == renewed.serial
            await get(channel, bearer(issuer.mint()))  # the connection of before goes on
            async with connected(served, authority) as another:
                await get(another, bearer(issuer.mint()))


async def test_new_client_authority_without_restart(
    authority: Authority, server_certificate: Issued, tmp_path: Path
) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(authority.certificate.read_bytes())
    successor = Authority(tmp_path, "successor")
    flags = tls_flags(authority, server_certificate, clients=True)
    flags["tls"]["client_ca"] = trusted
    async with serving(None, flags) as served:
        client = successor.issue_client(ADA)
        async with connected(served, authority, client) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await get(channel)
        trusted.write_bytes(authority.certificate.read_bytes() + successor.certificate.read_bytes())
        async with connected(served, authority, client) as channel:
            await get(channel)


async def test_broken_files_leave_the_former_in_use(
    authority: Authority,
    server_certificate: Issued,
    tokens: TokenVerifier,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(tokens, tls_flags(authority, server_certificate, clients=False)) as served:
        serial = server_certificate.serial
        key = server_certificate.key.read_bytes()
        with caplog.at_level(logging.ERROR):
            server_certificate.key.write_bytes(b"half a key")
            assert await presented_serial(served.server.grpc_port) == serial
            server_certificate.key.unlink()
            assert await presented_serial(served.server.grpc_port) == serial
        assert "certificate not reloaded" in caplog.text
        server_certificate.key.write_bytes(key)
        assert await presented_serial(served.server.grpc_port) == serial


def test_files_that_do_not_fit_together(authority: Authority) -> None:
    one, two = authority.issue_server("one"), authority.issue_server("two")
    with pytest.raises(ssl.SSLError):
        ServerTls(TlsFiles(one.certificate, two.key))
    with pytest.raises(FileNotFoundError):
        ServerTls(TlsFiles(one.certificate, one.key, authority.certificate.with_name("missing.pem")))


async def test_http_context_follows_the_files(authority: Authority, server_certificate: Issued) -> None:
    tls = ServerTls(TlsFiles(server_certificate.certificate, server_certificate.key))
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=tls.http_context())
    port = server.sockets[0].getsockname()[1]
    try:
        assert await presented_serial(port) == server_certificate.serial
        renewed = authority.issue_server()
        assert await presented_serial(port) == renewed.serial
    finally:
        server.close()


async def test_expired_client_certificate(authority: Authority, server_certificate: Issued) -> None:
    names = (x509.UniformResourceIdentifier(ADA),)
    expired = authority.issue("expired", *names, lifetime=timedelta(seconds=-30))
    async with (
        serving(None, tls_flags(authority, server_certificate, clients=True)) as served,
        connected(served, authority, expired) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await get(channel)
        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
