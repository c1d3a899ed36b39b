"""IngestService: one connection of a stream, between gRPC and its session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError

from intelgraph import errors
from intelgraph._core import InvalidFrame, decode_frame
from intelgraph.gateway.authenticator import Authenticator
from intelgraph.gateway.identity import Identity, current_identity
from intelgraph.gateway.permissions import require_named
from intelgraph.gateway.server import Service
from intelgraph.gateway.v1 import ingest_pb2
from intelgraph.ingest.intake import Intake
from intelgraph.ingest.session import StreamSession

_NAME: Final = ingest_pb2.DESCRIPTOR.services_by_name["IngestService"].full_name
_OPEN: Final = ingest_pb2.StreamRequest.OPEN_FIELD_NUMBER


class IngestService:
    """Frames stay bytes: the core decodes batches, so the method has no (de)serialisers."""

    def __init__(self, intake: Intake, authenticator: Authenticator) -> None:
        self._intake = intake
        self._authenticator = authenticator

    def service(self) -> Service:
        """The service, to be added to the server."""
        return Service(_NAME, self._add_to, self._intake.drain)

    def _add_to(self, server: grpc.aio.Server) -> None:
        handler: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(self.stream)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_NAME, {"Stream": handler}),))

    async def stream(self, frames: AsyncIterator[bytes], context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Serves one connection until the connector ends it, or the gateway has to."""
        identity = current_identity.get()
        request = await _open_request(frames)
        await require_named(request.tenant, request.dataset)
        session, opened = await self._intake.open(
            identity.tenant, request, self._refresher(identity), identity.expires_at, identity.actor
        )
        try:
            await context.write(ingest_pb2.StreamResponse(opened=opened).SerializeToString())
            await _serve(session, frames, context)
        finally:
            self._intake.closed(identity.tenant, session)

    def _refresher(self, identity: Identity) -> Any:
        async def refresh(token: str) -> float:
            renewed = await self._authenticator.verify_token(token)
            if (renewed.tenant.tenant_id, renewed.subject) != (identity.tenant.tenant_id, identity.subject):
                raise errors.Unauthenticated(
                    "TOKEN_OF_ANOTHER",
                    "the new token is of another tenant or subject than the first one",
                    fix="open another stream for another identity",
                )
            if not identity.roles <= renewed.roles:
                raise errors.Unauthenticated(
                    "TOKEN_WEAKER",
                    "the new token lacks a role that the first one had",
                    fix="open the stream again with the new token",
                )
            return renewed.expires_at

        return refresh


async def _open_request(frames: AsyncIterator[bytes]) -> ingest_pb2.OpenStream:
    frame = await anext(frames, b"")
    try:
        kind, _, body = decode_frame(frame)
        if kind != _OPEN:
            raise InvalidFrame("the first message is not OpenStream", "FRAME_MALFORMED")
        return ingest_pb2.OpenStream.FromString(body)
    except (InvalidFrame, DecodeError):
        raise errors.InvalidArgument(
            "STREAM_NOT_OPEN", "the first message must be OpenStream", fix="send OpenStream first"
        ) from None


async def _serve(
    session: StreamSession, frames: AsyncIterator[bytes], context: grpc.aio.ServicerContext[Any, Any]
) -> None:
    reading = asyncio.create_task(session.read(frames))
    try:
        async for reply in session.replies():
            await context.write(reply)
        await reading
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
