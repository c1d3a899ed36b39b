"""One connection of a stream: opens it, writes what the window lets through, reads the answers."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING, Final

import grpc

from intelgraph.client.calls import authorization
from intelgraph.client.failures import connection_lost
from intelgraph.client.last_word import LastWord
from intelgraph.errors import IntelGraphError, Internal
from intelgraph.gateway.v1 import ingest_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from intelgraph.client.progress import Progress
    from intelgraph.client.retry import Patience
    from intelgraph.client.tokens import AccessToken, TokenSource

_METHOD: Final = "/intelgraph.gateway.v1.IngestService/Stream"
_OPEN_SECONDS: Final = 30.0
_SHORTEST_RENEWAL: Final = 0.5
_RENEWAL_RETRY: Final = 5.0
_log: Final = logging.getLogger("intelgraph.client")

_Call = grpc.aio.StreamStreamCall[bytes, ingest_pb2.StreamResponse]


class Session:
    """Opens connections of one stream, one at a time."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        tokens: TokenSource,
        opening: ingest_pb2.OpenStream,
        progress: Progress,
        patience: Patience,
    ) -> None:
        # Batches are serialised once, however often they are sent.
        self._method: grpc.aio.StreamStreamMultiCallable[bytes, ingest_pb2.StreamResponse] = (
            channel.stream_stream(
                _METHOD, request_serializer=None, response_deserializer=ingest_pb2.StreamResponse.FromString
            )
        )
        self._tokens = tokens
        self._open_frame = ingest_pb2.StreamRequest(open=opening).SerializeToString()
        self._progress = progress
        self._patience = patience
        self._token: AccessToken | None = None

    async def run(self) -> None:
        """Connects and returns once the stream is being closed and everything is answered.

        Raises the IntelGraphError that ended the connection.
        """
        self._token = await self._tokens.get()
        call: _Call = self._method(metadata=authorization(self._token))
        last_word = LastWord(call)
        answers = aiter(call)
        try:
            await self._open(call, answers)
            await self._exchange(call, answers)
        except grpc.aio.AioRpcError as error:
            raise await last_word.failure(error) from error
        finally:
            self._progress.window.disconnected()
            call.cancel()

    def discard_token(self) -> None:
        """The gateway did not take the token that the last connection began with."""
        self._tokens.discard(self._token)

    async def _open(self, call: _Call, answers: AsyncIterator[ingest_pb2.StreamResponse]) -> None:
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                await _write(call, self._open_frame)
                first = await anext(answers)
        except (TimeoutError, StopAsyncIteration) as error:
            raise connection_lost("the gateway did not open the stream") from error
        if first.WhichOneof("message") != "opened":
            raise _unexpected(first)
        self._progress.on_opened(first.opened)

    async def _exchange(self, call: _Call, answers: AsyncIterator[ingest_pb2.StreamResponse]) -> None:
        reader = asyncio.create_task(self._read(answers))
        sender = asyncio.create_task(self._send(call))
        try:
            await asyncio.wait({reader, sender}, return_when=asyncio.FIRST_COMPLETED)
            if sender.done() and sender.exception() is None:
                # It has nothing more to write, or cannot: answers that are under way are still taken in.
                await asyncio.wait({reader})
        finally:
            reader.cancel()
            sender.cancel()
            ended = await asyncio.gather(reader, sender, return_exceptions=True)
        for result in ended:
            if isinstance(result, Exception):
                raise result
        if not (self._progress.closing and self._progress.window.is_empty):
            raise connection_lost("the gateway ended the stream")

    async def _read(self, answers: AsyncIterator[ingest_pb2.StreamResponse]) -> None:
        async for answer in answers:
            match answer.WhichOneof("message"):
                case "ack":
                    self._progress.on_ack(answer.ack)
                    self._patience.restore()
                case "rejected":
                    error = self._progress.on_rejected(answer.rejected)
                    if error is not None:
                        await self._wait_out(error)
                    elif answer.rejected.consumed:
                        self._patience.restore()
                case _:
                    raise _unexpected(answer)

    async def _wait_out(self, error: IntelGraphError) -> None:
        # Nothing is in flight, so no answer is missed meanwhile.
        self._progress.waits_for = error
        await self._patience.wait(error)
        self._progress.window.resume()
        self._progress.signal.changed()

    async def _send(self, call: _Call) -> None:
        window = self._progress.window
        renew_at = self._next_renewal()
        while True:
            if time.monotonic() >= renew_at:
                renew_at = await self._refresh(call)
            batch = window.next_to_send()
            if batch is not None:
                batch.first_sent = batch.first_sent or time.monotonic()
                self._progress.signal.changed()
                if not await _write(call, batch.frame):
                    return
            elif self._progress.closing and window.is_empty:
                await call.done_writing()
                return
            else:
                await self._change_or(renew_at)

    async def _change_or(self, renew_at: float) -> None:
        if math.isinf(renew_at):
            await self._progress.signal.next_change()
            return
        try:
            async with asyncio.timeout(max(renew_at - time.monotonic(), 0.0)):
                await self._progress.signal.next_change()
        except TimeoutError:
            return

    async def _refresh(self, call: _Call) -> float:
        """Sends a new token if there is one. Returns when to look for the next, in monotonic seconds."""
        try:
            token = await self._tokens.get()
        except Exception as error:  # a provider is foreign code, and the stream outlives its trouble
            _log.warning("no new token: the provider raised %s; trying again", type(error).__name__)
            return time.monotonic() + _RENEWAL_RETRY
        if token is not None and token is not self._token:
            self._token = token
            refresh = ingest_pb2.RefreshToken(access_token=token.value)
            await _write(call, ingest_pb2.StreamRequest(refresh=refresh).SerializeToString())
        return self._next_renewal()

    def _next_renewal(self) -> float:
        return time.monotonic() + max(self._tokens.renew_in, _SHORTEST_RENEWAL)


async def _write(call: _Call, frame: bytes) -> bool:
    """False if the call has ended; whoever reads learns how."""
    try:
        await call.write(frame)
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        return False
    return True


def _unexpected(answer: ingest_pb2.StreamResponse) -> Internal:
    return Internal(
        reason="PROTOCOL_VIOLATION",
        message=f"the gateway sent `{answer.WhichOneof('message')}` where it does not belong",
        fix="use the client of the gateway's own version",
    )
