"""The one gate that every RPC passes: who calls, for which tenant, whether it may, and how it ended.

Requests are parsed behind the gate: what an unknown caller sends is never looked at.
"""

import asyncio
import inspect
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from intelgraph.errors import (
    IntelGraphError,
    InvalidArgument,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    to_status,
)
from intelgraph.gateway.authenticator import Authenticator
from intelgraph.gateway.identity import Identity, current_identity
from intelgraph.gateway.methods import MethodRule
from intelgraph.gateway.metrics import Outcome, measured
from intelgraph.gateway.permissions import Access, Permissions, current_access
from intelgraph.tracing import remote_span

# gRPC's classes are generic in its stubs only.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Metadata = tuple[tuple[str, str | bytes], ...]
T = TypeVar("T")

_STATUS_KEY: Final = "grpc-status-details-bin"
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_DENIALS: Final = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}

_log = logging.getLogger(__name__)


class OpenStreams:
    """Server streams that run. They end when their caller's identity expires, or when the gateway drains."""

    def __init__(self) -> None:
        self._scopes: set[asyncio.Timeout] = set()
        self._draining = False

    @asynccontextmanager
    async def bounded(self, expires_at: float) -> AsyncIterator[None]:
        """Runs the block until `expires_at`, in seconds since the Unix epoch.

        Raises Unauthenticated TOKEN_EXPIRED and Unavailable GATEWAY_DRAINING.
        """
        seconds = 0.0 if self._draining else expires_at - time.time()
        scope = asyncio.timeout(None if math.isinf(seconds) else seconds)
        self._scopes.add(scope)
        try:
            async with scope:
                yield
        except TimeoutError:
            if not scope.expired():
                raise
            raise self._ended() from None
        finally:
            self._scopes.discard(scope)

    def end(self) -> None:
        """Ends all of them."""
        self._draining = True
        now = asyncio.get_running_loop().time()
        for scope in self._scopes:
            scope.reschedule(now)

    def _ended(self) -> IntelGraphError:
        if self._draining:
            return Unavailable(
                "GATEWAY_DRAINING",
                "the gateway is about to stop",
                fix="call again, from where the stream ended",
                retry_after=0.5,
            )
        return Unauthenticated(
            "TOKEN_EXPIRED",
            "the token expired while the stream was open",
            fix="call again with a new token, from where the stream ended",
        )


class AccessInterceptor(grpc.aio.ServerInterceptor):
    """Guards all methods by their rules; a method that has none is denied to everyone."""

    def __init__(
        self, authenticator: Authenticator, permissions: Permissions, rules: Mapping[str, MethodRule]
    ) -> None:
        self._authenticator = authenticator
        self._permissions = permissions
        self._rules = rules
        self._open_streams = OpenStreams()

    def drain(self) -> None:
        """Ends server streams, those that begin as well: their callers are told to call again."""
        self._open_streams.end()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Puts the gate before the method's handler."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        gate = _Gate(
            self._authenticator,
            self._permissions,
            str(handler_call_details.method),
            self._rules.get(str(handler_call_details.method)),
            tuple(handler_call_details.invocation_metadata),
            handler,
            self._open_streams,
        )
        return gate.guarded()


@dataclass(frozen=True, slots=True)
class _Gate:
    """One RPC on its way to its handler."""

    authenticator: Authenticator
    permissions: Permissions
    path: str
    rule: MethodRule | None
    metadata: Metadata
    handler: Handler
    open_streams: OpenStreams

    @property
    def behaviour(self) -> Callable[..., Any]:
        """The method of the servicer; gRPC's types know only those of its synchronous API."""
        handler = self.handler
        behaviours = (
            handler.unary_unary,
            handler.unary_stream,
            handler.stream_unary,
            handler.stream_stream,
        )
        return next(behaviour for behaviour in behaviours if behaviour is not None)

    def guarded(self) -> Handler:
        """A handler of the same kind that admits, checks and measures before it calls the method's own."""
        serialize = self.handler.response_serializer
        match self.handler.request_streaming, self.handler.response_streaming:
            case False, False:
                return grpc.unary_unary_rpc_method_handler(self._unary, response_serializer=serialize)
            case False, True:
                return grpc.unary_stream_rpc_method_handler(
                    self._server_stream, response_serializer=serialize
                )
            case True, False:
                return grpc.stream_unary_rpc_method_handler(
                    self._client_stream, self.handler.request_deserializer, serialize
                )
            case _:
                return grpc.stream_stream_rpc_method_handler(
                    self._bidirectional, self.handler.request_deserializer, serialize
                )

    async def _unary(self, raw: bytes, context: Context) -> Any:
        async def answer(identity: Identity | None) -> Any:
            return await self.behaviour(await self._parsed(raw, identity), context)

        return await self._run(context, answer)

    async def _server_stream(self, raw: bytes, context: Context) -> None:
        async def answer(identity: Identity | None) -> None:
            request = await self._parsed(raw, identity)
            expires_at = identity.expires_at if identity is not None else math.inf
            async with self.open_streams.bounded(expires_at):
                await self._write(self.behaviour(request, context), context, identity)

        await self._run(context, answer)

    async def _client_stream(self, requests: AsyncIterator[Any], context: Context) -> Any:
        async def answer(identity: Identity | None) -> Any:
            return await self.behaviour(self._checked(requests, identity), context)

        return await self._run(context, answer)

    async def _bidirectional(self, requests: AsyncIterator[Any], context: Context) -> None:
        async def answer(identity: Identity | None) -> None:
            await self._write(self.behaviour(self._checked(requests, identity), context), context, None)

        await self._run(context, answer)

    async def _run(self, context: Context, answer: Callable[[Identity | None], Awaitable[T]]) -> T:
        text = {key: value for key, value in self.metadata if isinstance(value, str)}
        with measured(self.path) as outcome, remote_span(self.path[1:], text):
            try:
                return await answer(await self._admit(context))
            except asyncio.CancelledError:
                outcome.code = grpc.StatusCode.CANCELLED
                raise
            except grpc.aio.AbortError:
                outcome.code = _code_of(context)
                raise
            except Exception as error:
                await self._refuse(error, context, outcome)
                raise
            finally:
                if outcome.code is grpc.StatusCode.OK:
                    outcome.code = _code_of(context)

    async def _admit(self, context: Context) -> Identity | None:
        """The caller, where the method's rule lets it in."""
        if self.rule is None:
            raise PermissionDenied(
                "METHOD_WITHOUT_PERMISSION",
                "the method does not say which permission it needs",
                fix="report it: nobody can be allowed to call it",
            )
        if self.rule.anonymous:
            return None
        identity = await self.authenticator.identify(self.metadata, context.auth_context())
        if self.rule.permission is not None:
            await self.permissions.require(identity, self.rule.permission)
            current_access.set(Access(self.permissions, identity, self.rule.permission))
        current_identity.set(identity)
        return identity

    async def _parsed(self, raw: bytes, identity: Identity | None) -> Any:
        """The request; the handler's own form of it where it wants raw bytes."""
        parse = self.handler.request_deserializer
        if parse is None:
            return raw
        try:
            request = parse(raw)
        except DecodeError:
            raise InvalidArgument(
                "MALFORMED_MESSAGE",
                "the request is not the protobuf message that the method takes",
                fix="generate the client from the gateway's wire definition",
            ) from None
        await self._check_resource(request, identity)
        return request

    def _checked(self, requests: AsyncIterator[Any], identity: Identity | None) -> AsyncIterator[Any]:
        """The requests, each with what it names checked; raw bytes are checked by who parses them."""
        if self.handler.request_deserializer is None or identity is None:
            return requests
        return self._with_resources_checked(requests, identity)

    async def _with_resources_checked(
        self, requests: AsyncIterator[Any], identity: Identity
    ) -> AsyncIterator[Any]:
        async for request in requests:
            await self._check_resource(request, identity)
            yield request

    async def _check_resource(self, request: Any, identity: Identity | None) -> None:
        """Decides once more where the request names a tenant or a dataset."""
        rule = self.rule
        if identity is None or rule is None or rule.permission is None or not isinstance(request, Message):
            return
        for resource in rule.named(request):
            await self.permissions.require(identity, rule.permission, resource)

    async def _write(self, responses: Any, context: Context, identity: Identity | None) -> None:
        """Sends what a handler yields; one that writes by itself is only awaited.

        With an identity, its tenant is looked at before each response: a stream ends when the tenant is
        suspended.
        """
        if not inspect.isasyncgen(responses):
            await responses
            return
        async with aclosing(responses):  # what a handler holds is given back now, however its stream ends
            async for response in responses:
                if identity is not None:
                    await self.authenticator.served(identity.tenant.name)
                await context.write(response)

    async def _refuse(self, error: Exception, context: Context, outcome: Outcome) -> None:
        """Ends the RPC with the error as a rich status.

        Raises AbortError, and CancelledError where gRPC found the caller gone.
        """
        if isinstance(error, grpc.aio.InternalError):
            # An operation on a call fails when the caller has hung up, which `done` may not know yet.
            outcome.code = grpc.StatusCode.CANCELLED
            _log.debug("caller gone", extra={"rpc": self.path})
            raise asyncio.CancelledError from error
        if context.done():
            outcome.code = grpc.StatusCode.CANCELLED
            return
        status = to_status(error)
        outcome.code = _CODES[status.code]
        if outcome.code in _DENIALS:
            reason = error.reason if isinstance(error, IntelGraphError) else ""
            _log.warning("denied", extra={"rpc": self.path, "reason": reason, "peer": context.peer()})
        try:
            await context.abort(
                outcome.code, status.message, trailing_metadata=((_STATUS_KEY, status.SerializeToString()),)
            )
        except grpc.aio.InternalError as gone:
            await self._refuse(gone, context, outcome)


def _code_of(context: Context) -> grpc.StatusCode:
    """The status that a handler set by itself; gRPC keeps the enumeration, its number or None."""
    code: Any = context.code()
    if isinstance(code, grpc.StatusCode):
        return code
    return _CODES.get(code, grpc.StatusCode.UNKNOWN) if isinstance(code, int) else grpc.StatusCode.OK
