"""A gateway server behind which stand servicers of the tests' own: all of the gate, none of the storage."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias
from uuid import uuid4

import grpc
from google.rpc import error_details_pb2, status_pb2

from intelgraph.errors import PermissionDenied
from intelgraph.gateway.authenticator import Authenticator
from intelgraph.gateway.identity import Identity, current_identity
from intelgraph.gateway.permissions import Permissions
from intelgraph.gateway.server import GatewayServer, Parts, Service
from intelgraph.gateway.settings import Settings, load_settings
from intelgraph.gateway.tokens import TokenVerifier
from intelgraph.gateway.v1 import entity_pb2
from intelgraph.tenants.limits import TenantLimits
from intelgraph.tenants.registry import Tenant, TenantState
from tests.parts.policy import make_permissions

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
RawUnary: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"
RawStream: TypeAlias = "grpc.aio.StreamStreamMultiCallable[bytes, bytes]"

_ENTITIES = "intelgraph.gateway.v1.EntityService"


def make_tenant(name: str, state: TenantState = TenantState.ACTIVE) -> Tenant:
    """A tenant with the default limits."""
    return Tenant(
        tenant_id=uuid4(), name=name, state=state, limits=TenantLimits(), created_at=datetime.now(UTC)
    )


class Directory:
    """Tenants in memory."""

    def __init__(self, *names: str) -> None:
        self.tenants = {name: make_tenant(name) for name in names}

    async def get(self, name: str) -> Tenant:
        """See `TenantDirectory`."""
        try:
            return self.tenants[name]
        except KeyError:
            raise PermissionDenied("TENANT_UNKNOWN", "no such tenant", fix="create it") from None

    def set_state(self, name: str, state: TenantState) -> None:
        """Moves a tenant to another state."""
        self.tenants[name] = replace(self.tenants[name], state=state)


class Entities:
    """Answers Get with who asked; streams changes one by one as the test releases them."""

    def __init__(self) -> None:
        self.identities: list[Identity] = []
        self.failure: Exception | None = None
        self.changes: asyncio.Queue[int] = asyncio.Queue()
        self.ended = asyncio.Event()

    async def Get(  # noqa: N802 - the name of the method
        self, request: entity_pb2.GetRequest, context: object
    ) -> entity_pb2.GetResponse:
        if self.failure is not None:
            raise self.failure
        identity = current_identity.get()
        self.identities.append(identity)
        return entity_pb2.GetResponse(as_of_seq=len(self.identities))

    async def Changes(  # noqa: N802 - as above
        self, request: entity_pb2.ChangesRequest, context: object
    ) -> AsyncIterator[entity_pb2.ChangesResponse]:
        try:
            while (seq := await self.changes.get()) >= 0:
                yield entity_pb2.ChangesResponse(resume_after_seq=seq)
        finally:
            self.ended.set()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the two methods."""
        get: Handler = grpc.unary_unary_rpc_method_handler(
            self.Get, entity_pb2.GetRequest.FromString, entity_pb2.GetResponse.SerializeToString
        )
        changes: Handler = grpc.unary_stream_rpc_method_handler(
            self.Changes, entity_pb2.ChangesRequest.FromString, entity_pb2.ChangesResponse.SerializeToString
        )
        handlers = {"Get": get, "Changes": changes}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_ENTITIES, handlers),))


class RawIngest:
    """Echoes raw messages of a bidirectional stream until the client ends it."""

    async def stream(
        self, frames: AsyncIterator[bytes], context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> None:
        async for frame in frames:
            assert isinstance(frame, bytes)
            await context.write(current_identity.get().tenant.name.encode() + frame)

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the raw handler, without generated code."""
        handler: Handler = grpc.stream_stream_rpc_method_handler(self.stream)
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    "intelgraph.gateway.v1.IngestService", {"Stream": handler}
                ),
            )
        )


@dataclass
class Served:
    """A running server and what stands behind it."""

    settings: Settings
    server: GatewayServer
    directory: Directory
    entities: Entities
    permissions: Permissions
    drained: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.grpc_port}"

    @property
    def http(self) -> str:
        return f"127.0.0.1:{self.server.http_port}"


@asynccontextmanager
async def serving(
    tokens: TokenVerifier | None, flags: Mapping[str, Any] | None = None, *names: str
) -> AsyncIterator[Served]:
    """Serves on free ports; `flags` as for `load_settings`, `names` those of the tenants."""
    settings = load_settings(
        {"grpc": {"port": 0}, "http": {"port": 0}, "drain_s": 5.0, "platform_tenant": "platform"}
        | dict(flags or {})
    )
    directory, entities = Directory(*(names or ("acme", "other", "platform"))), Entities()
    permissions = make_permissions()
    drained: list[str] = []

    async def drain() -> None:
        drained.append("ingest")

    parts = Parts(
        authenticator=Authenticator(directory, tokens, settings.tls.trust_domain, settings.platform_tenant),
        permissions=permissions,
        services=[
            Service(
                _ENTITIES,
                entities.add_to,
            ),
            Service("intelgraph.gateway.v1.IngestService", RawIngest().add_to, drain),
        ],
    )
    server = GatewayServer(settings, parts)
    try:
        await server.start()
        yield Served(settings, server, directory, entities, permissions, drained)
    finally:
        await server.stop()


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """Call metadata with an access token."""
    return (("authorization", f"Bearer {token}"),)


@dataclass(frozen=True)
class Refusal:
    """A rich status as a client reads it."""

    code: grpc.StatusCode
    message: str
    reason: str
    metadata: dict[str, str]
    retry_after: float | None


def refusal_of(error: grpc.aio.AioRpcError) -> Refusal:
    """The `google.rpc.Status` in the trailers of a failed call."""
    trailers = dict(error.trailing_metadata() or ())
    raw = trailers["grpc-status-details-bin"]
    assert isinstance(raw, bytes)
    status = status_pb2.Status.FromString(raw)
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(retry)
    assert info.domain == "intelgraph.dev"
    retry_after = retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None
    return Refusal(error.code(), status.message, info.reason, dict(info.metadata), retry_after)
