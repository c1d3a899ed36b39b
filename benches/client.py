"""The one client of every ingest benchmark: it drives several streams at once and times each
acknowledgement."""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import grpc.aio

from benches.wire import STREAM_METHOD, batch_frame, open_frame
from intelgraph.gateway.v1 import ingest_pb2

Metadata = tuple[tuple[str, str], ...]
Call = grpc.aio.StreamStreamCall[bytes, ingest_pb2.StreamResponse]
Method = grpc.aio.StreamStreamMultiCallable[bytes, ingest_pb2.StreamResponse]


@dataclass(frozen=True, slots=True)
class Feed:
    """What one stream sends: its batches, over and over.

    Attributes:
        stream_id: name of the stream; a feed that is driven again resumes it.
        metadata: says who calls, in the way of the server under test.
        bodies: batches without their sequence, as `batch_body` makes them.
        records_per_batch: number of records in each of `bodies`.
    """

    dataset: str
    stream_id: str
    metadata: Metadata
    bodies: Sequence[bytes]
    records_per_batch: int


@dataclass(frozen=True, slots=True)
class Driven:
    """What the server acknowledged: number of records, elapsed seconds, milliseconds per batch."""

    records: int
    wall_s: float
    ack_ms: tuple[float, ...]


KeepSending = Callable[[int], bool]
"""Asked before each batch with the number of batches that this run has sent on the stream so far."""


class UnexpectedReplyError(Exception):
    """The server did not store a batch whole; the run measured something else than was asked for."""


def for_seconds(seconds: float) -> KeepSending:
    """Sends until `seconds` from now."""
    deadline = time.perf_counter() + seconds
    return lambda _sent: time.perf_counter() < deadline


def for_batches(batches: int) -> KeepSending:
    """Sends the given number of batches on each stream."""
    return lambda sent: sent < batches


async def drive(
    channels: Sequence[grpc.aio.Channel], feeds: Sequence[Feed], in_flight: int, more: KeepSending
) -> Driven:
    """Sends every feed on a stream of its own, at most `in_flight` unanswered batches and the server's credit
    on each, and returns when all that was sent is acknowledged. The streams take the channels in turn.

    Raises:
        UnexpectedReplyError: if a batch is rejected, answered out of order, or not every record of it becomes
            a change.
        grpc.aio.AioRpcError: if a stream breaks.
    """
    streams = [
        await _Stream.open(channel, feed, in_flight)
        for channel, feed in zip(itertools.cycle(channels), feeds, strict=False)
    ]
    started = time.perf_counter()
    await asyncio.gather(*(stream.run(more) for stream in streams))
    wall_s = time.perf_counter() - started
    for stream in streams:
        await stream.close()
    records = sum(len(stream.ack_ms) * stream.feed.records_per_batch for stream in streams)
    return Driven(records, wall_s, tuple(ack for stream in streams for ack in stream.ack_ms))


@dataclass(slots=True)
class _Unanswered:
    sequence: int
    sent_at: float


@dataclass(slots=True)
class _Stream:
    feed: Feed
    call: Call
    in_flight: int
    sequence: int
    credit_bytes: int
    unanswered: deque[_Unanswered] = field(default_factory=deque)
    ack_ms: list[float] = field(default_factory=list)

    @classmethod
    async def open(cls, channel: grpc.aio.Channel, feed: Feed, in_flight: int) -> "_Stream":
        method: Method = channel.stream_stream(
            STREAM_METHOD, response_deserializer=ingest_pb2.StreamResponse.FromString
        )
        call = method(metadata=feed.metadata)
        await call.write(open_frame(feed.dataset, feed.stream_id))
        reply = await _read(call)
        if reply.WhichOneof("message") != "opened":
            raise UnexpectedReplyError(f"stream {feed.stream_id} was not opened: {reply}")
        opened = reply.opened
        return cls(feed, call, in_flight, opened.last_committed_sequence, opened.credit_bytes)

    async def run(self, more: KeepSending) -> None:
        """Keeps the window full for as long as `more` says so, then waits for what is unanswered."""
        sent = 0
        while more(sent):
            await self._send()
            sent += 1
        while self.unanswered:
            await self._receive()

    async def close(self) -> None:
        await self.call.done_writing()
        if await self.call.read() is not grpc.aio.EOF:
            raise UnexpectedReplyError(f"stream {self.feed.stream_id}: a reply to nothing")

    async def _send(self) -> None:
        body = self.feed.bodies[self.sequence % len(self.feed.bodies)]
        self.sequence += 1
        frame = batch_frame(self.sequence, body)
        while self.unanswered and (len(self.unanswered) >= self.in_flight or self.credit_bytes < len(frame)):
            await self._receive()
        self.credit_bytes -= len(frame)
        self.unanswered.append(_Unanswered(self.sequence, time.perf_counter()))
        await self.call.write(frame)

    async def _receive(self) -> None:
        reply = await _read(self.call)
        oldest = self.unanswered.popleft()
        self.ack_ms.append((time.perf_counter() - oldest.sent_at) * 1e3)
        ack = reply.ack
        if ack.sequence != oldest.sequence or ack.accepted != self.feed.records_per_batch:
            raise UnexpectedReplyError(f"stream {self.feed.stream_id}, batch {oldest.sequence}: {reply}")
        self.credit_bytes += ack.credit_bytes


async def _read(call: Call) -> ingest_pb2.StreamResponse:
    reply = await call.read()
    if not isinstance(reply, ingest_pb2.StreamResponse):
        raise UnexpectedReplyError("the stream ended without answering")
    return reply
