"""A stream as bytes on the wire, for what no client of ours would send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self

import grpc
from google.rpc import error_details_pb2, status_pb2

from intelgraph.gateway.v1 import ingest_pb2
from tests.faults.load import DATASET

_METHOD = "/intelgraph.gateway.v1.IngestService/Stream"


class RawStream:
    """One connection of one stream."""

    def __init__(self, call: grpc.aio.StreamStreamCall[bytes, ingest_pb2.StreamResponse]) -> None:
        self._call = call

    async def open(
        self, stream_id: str, *, dataset: str = DATASET, tenant: str = ""
    ) -> ingest_pb2.StreamOpened:
        """Opens the stream."""
        opening = ingest_pb2.OpenStream(dataset=dataset, stream_id=stream_id, producer="raw", tenant=tenant)
        await self.write(ingest_pb2.StreamRequest(open=opening).SerializeToString())
        return (await self.read()).opened

    async def send(self, sequence: int, records: Sequence[bytes]) -> None:
        """Sends a batch."""
        await self.write(batch(sequence, records))

    async def refresh(self, token: str) -> None:
        """Sends a new token."""
        refresh = ingest_pb2.RefreshToken(access_token=token)
        await self.write(ingest_pb2.StreamRequest(refresh=refresh).SerializeToString())

    async def write(self, frame: bytes) -> None:
        """Sends a frame. Raises EndedWithStatus if the gateway has ended the stream."""
        try:
            await self._call.write(frame)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            raise await self._ended() from None

    async def read(self) -> ingest_pb2.StreamResponse:
        """The next answer. Raises EndedWithStatus."""
        try:
            answer = await asyncio.wait_for(self._call.read(), 60)
        except grpc.aio.AioRpcError:
            raise await self._ended() from None
        if not isinstance(answer, ingest_pb2.StreamResponse):
            raise await self._ended()
        return answer

    async def acked(self) -> ingest_pb2.BatchAck:
        """The next answer, an acknowledgement."""
        answer = await self.read()
        assert answer.WhichOneof("message") == "ack", answer
        return answer.ack

    async def rejected(self) -> tuple[ingest_pb2.BatchRejected, str]:
        """The next answer, a rejection, and its reason."""
        answer = await self.read()
        assert answer.WhichOneof("message") == "rejected", answer
        return answer.rejected, reason_of(answer.rejected.status)

    async def _ended(self) -> EndedWithStatus:
        for key, value in await self._call.trailing_metadata() or ():
            if key == "grpc-status-details-bin" and isinstance(value, bytes):
                status = status_pb2.Status.FromString(value)
                return EndedWithStatus(
                    reason_of(status), await self._call.code(), asks_for_retry=_asks_for_retry(status)
                )
        return EndedWithStatus("", await self._call.code())


class EndedWithStatus(Exception):
    """The gateway has ended the stream."""

    def __init__(self, reason: str, code: grpc.StatusCode, *, asks_for_retry: bool = False) -> None:
        super().__init__(f"{code.name} {reason}")
        self.reason = reason
        self.code = code
        self.asks_for_retry = asks_for_retry


class RawGateway:
    """A channel to a gateway."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    @classmethod
    @asynccontextmanager
    async def at(cls, address: str) -> AsyncIterator[Self]:
        """Connects; messages of any size may be sent."""
        options = [("grpc.max_send_message_length", -1)]
        async with grpc.aio.insecure_channel(address, options=options) as channel:
            yield cls(channel)

    @asynccontextmanager
    async def stream(self, token: str) -> AsyncIterator[RawStream]:
        """A connection that is not opened yet."""
        method: grpc.aio.StreamStreamMultiCallable[bytes, ingest_pb2.StreamResponse] = (
            self._channel.stream_stream(_METHOD, None, ingest_pb2.StreamResponse.FromString)
        )
        call = method(metadata=(("authorization", f"Bearer {token}"),))
        try:
            yield RawStream(call)
        finally:
            call.cancel()


def batch(sequence: int, records: Sequence[bytes]) -> bytes:
    """A frame with a batch."""
    return ingest_pb2.StreamRequest(
        batch=ingest_pb2.Batch(
            sequence=sequence, records=[ingest_pb2.Record(upsert=record) for record in records]
        )
    ).SerializeToString()


def _asks_for_retry(status: status_pb2.Status) -> bool:
    return any(detail.Unpack(error_details_pb2.RetryInfo()) for detail in status.details)


def reason_of(status: status_pb2.Status) -> str:
    """The reason in a status's ErrorInfo."""
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason
    return ""
