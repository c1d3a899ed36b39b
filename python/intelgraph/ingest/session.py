"""One connection of one ingest stream: its frames in order, its credit, its replies in order.

The reader hands each batch to the core and on to the tenant's committer without waiting for the commit; the writer
answers in the order of the batches. A batch that is handed back, for whatever passing reason, is answered as not
consumed, and so is every batch behind it until the connector sends it again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from google.protobuf.message import DecodeError

from intelgraph import errors
from intelgraph._core import InvalidFrame, Prepared, Stream, decode_frame
from intelgraph.gateway.v1 import ingest_pb2
from intelgraph.ingest import metrics
from intelgraph.ingest.committer import TenantCommitter
from intelgraph.ingest.credit import ByteBudget
from intelgraph.ingest.lane import Lane, Submission, hand_back
from intelgraph.ingest.positions import Position
from intelgraph.ingest.refusals import refusal

_OPEN: Final = ingest_pb2.StreamRequest.OPEN_FIELD_NUMBER
_BATCH: Final = ingest_pb2.StreamRequest.BATCH_FIELD_NUMBER


@dataclass(frozen=True, slots=True)
class StreamBounds:
    """What a stream and its batches may measure."""

    credit_bytes: int = 8 << 20
    max_batch_bytes: int = 4 << 20
    max_batch_records: int = 65_536
    max_record_bytes: int = 1 << 20
    max_depth: int = 64


class PrepareBatch(Protocol):
    """Has the core check a frame's records and look for their heads."""

    async def __call__(self, stream: Stream, frame: bytes) -> Prepared:
        """Raises `InvalidFrame` for bytes that are no batch, `errors.IntelGraphError` for what passes."""


class StreamSession:
    """An open stream, from its open to its end."""

    def __init__(
        self,
        stream: Stream,
        position: Position,
        bounds: StreamBounds,
        committer: TenantCommitter,
        prepare: PrepareBatch,
        budgets: Sequence[ByteBudget],
        refresh: Callable[[str], Awaitable[float]],
        expires_at: float,
    ) -> None:
        """`refresh` checks a new token and returns when it expires; `expires_at` is in seconds since the epoch."""
        self._stream = stream
        self._position = position
        self._bounds = bounds
        self._committer = committer
        self._prepare = prepare
        self._budgets = budgets
        self._refresh = refresh
        self._expires_at = expires_at
        self._lane = Lane(position.sequence + 1)
        self._replies: asyncio.Queue[Submission | None] = asyncio.Queue()
        self._reading: asyncio.Future[bytes | None] | None = None
        self._ending: errors.IntelGraphError | None = None
        """Why the stream is to end, once it is."""

    # -- reading ----------------------------------------------------------------------------------------------

    async def read(self, frames: AsyncIterator[bytes]) -> None:
        """Takes frames until the connector ends, the token expires or the stream is told to end.

        Raises:
            errors.Unauthenticated: `TOKEN_EXPIRED`, or what a refresh was refused for.
            errors.InvalidArgument: `STREAM_ALREADY_OPEN`.
            errors.IntelGraphError: What `end` was told.
        """
        try:
            while (frame := await self._next(frames)) is not None:
                await self._take(frame)
        finally:
            # The writer answers what is in flight before it ends, whatever ended the reading.
            self._replies.put_nowait(None)

    def end(self, error: errors.IntelGraphError) -> None:
        """Stops reading, for `error`; what was read is still answered before."""
        self._ending = error
        if self._reading is not None:
            self._reading.cancel()

    async def _next(self, frames: AsyncIterator[bytes]) -> bytes | None:
        if self._ending is not None:
            raise self._ending
        self._reading = asyncio.ensure_future(_next_or_none(frames))
        try:
            return await asyncio.wait_for(self._reading, self._lifetime())
        except TimeoutError:
            raise _token_expired() from None
        except asyncio.CancelledError:
            if self._ending is not None:
                raise self._ending from None
            raise
        finally:
            self._reading = None

    def _lifetime(self) -> float | None:
        return None if self._expires_at == float("inf") else max(0.0, self._expires_at - time.time())

    async def _take(self, frame: bytes) -> None:
        try:
            kind, sequence, body = decode_frame(frame)
        except InvalidFrame as error:
            # What cannot be read is taken for the batch that was due: it is used up, or it would come for ever.
            await self._consume(self._lane.expected, len(frame), _malformed(str(error)))
            return
        if kind == _BATCH:
            await self._take_batch(frame, sequence)
        elif kind == _OPEN:
            raise errors.InvalidArgument(
                "STREAM_ALREADY_OPEN", "the stream is open already", fix="send OpenStream once, first"
            )
        else:
            await self._take_token(body)

    async def _take_token(self, body: bytes) -> None:
        try:
            message = ingest_pb2.RefreshToken.FromString(body)
        except DecodeError:
            raise _malformed("RefreshToken is malformed") from None
        self._expires_at = await self._refresh(message.access_token)

    async def _take_batch(self, frame: bytes, sequence: int) -> None:
        expected = self._lane.expected
        if sequence != expected:
            self._answer(
                sequence, len(frame), _out_of_sequence(sequence, expected), consumed=0 < sequence < expected
            )
            return
        await self._charge(len(frame))
        if len(frame) > self._bounds.max_batch_bytes:
            await self._consume(sequence, len(frame), self._too_large(len(frame)), paid=True)
            return
        submission = self._submission(sequence, len(frame))
        try:
            submission.batch = await self._prepare(self._stream, frame)
        except InvalidFrame as error:
            submission.rejection = _rejected(sequence, _malformed(str(error)), len(frame), consumed=True)
        except Exception as error:
            hand_back([submission], refusal(error))
            return
        except asyncio.CancelledError:
            # The connection is gone, and nobody waits for the reply. What it was charged is given back with it.
            submission.reply.cancel()
            raise
        self._committer.submit(submission)

    async def _consume(
        self, sequence: int, size: int, error: errors.IntelGraphError, *, paid: bool = False
    ) -> None:
        """Rejects a batch and has its sequence used up, durably."""
        if not paid:
            await self._charge(size)
        submission = self._submission(sequence, size)
        submission.rejection = _rejected(sequence, error, size, consumed=True)
        self._committer.submit(submission)

    def _submission(self, sequence: int, size: int) -> Submission:
        self._lane.expected = sequence + 1
        target = Position(self._position.stream_no, self._position.epoch, sequence)
        submission = Submission(self._lane, self._lane.turn, target, None, size)
        submission.reply.add_done_callback(lambda _: self._give_back(size))
        self._replies.put_nowait(submission)
        return submission

    def _answer(self, sequence: int, size: int, error: errors.IntelGraphError, *, consumed: bool) -> None:
        """Answers a batch at once, in its place among the replies, without touching the stream's position. Nothing was
        charged for it here; the connector has counted its bytes, and has them back.
        """
        target = Position(self._position.stream_no, self._position.epoch, sequence)
        submission = Submission(self._lane, self._lane.turn, target, None, 0)
        submission.reply.set_result(_rejected(sequence, error, size, consumed=consumed))
        metrics.REJECTED.inc()
        self._replies.put_nowait(submission)

    async def _charge(self, size: int) -> None:
        """Waits until the stream, the tenant and the process have room for so many bytes more."""
        taken: list[ByteBudget] = []
        try:
            for budget in self._budgets:
                await budget.take(size)
                taken.append(budget)
        except asyncio.CancelledError:
            for budget in taken:
                budget.give_back(size)
            raise

    def _give_back(self, size: int) -> None:
        for budget in self._budgets:
            budget.give_back(size)

    def _too_large(self, size: int) -> errors.IntelGraphError:
        return errors.InvalidArgument(
            "BATCH_TOO_LARGE",
            f"the batch measures {size} bytes, the limit is {self._bounds.max_batch_bytes}",
            fix="send smaller batches, as StreamOpened.limits says",
        )

    # -- replying ---------------------------------------------------------------------------------------------

    async def replies(self) -> AsyncIterator[bytes]:
        """The encoded replies, one for each batch, in the order of the batches.

        Raises what a batch cannot be sent again for: `STREAM_FENCED` once another connection has opened the stream,
        or a fault that no retry mends. The batch's sequence is not used up, so nothing is lost.
        """
        while (submission := await self._replies.get()) is not None:
            try:
                yield await submission.reply
            except errors.IntelGraphError as error:
                if error.retry_after is None:
                    raise
                yield _rejected(submission.target.sequence, error, submission.size, consumed=False)


async def _next_or_none(frames: AsyncIterator[bytes]) -> bytes | None:
    return await anext(frames, None)


def _rejected(sequence: int, error: errors.IntelGraphError, size: int, *, consumed: bool) -> bytes:
    return ingest_pb2.StreamResponse(
        rejected=ingest_pb2.BatchRejected(
            sequence=sequence, status=errors.to_status(error), consumed=consumed, credit_bytes=size
        )
    ).SerializeToString()


def _malformed(what: str) -> errors.IntelGraphError:
    return errors.InvalidArgument(
        "FRAME_MALFORMED", what, fix="send StreamRequest messages as proto/intelgraph/gateway/v1 defines them"
    )


def _out_of_sequence(sequence: int, expected: int) -> errors.IntelGraphError:
    metadata = {"expected_sequence": str(expected)}
    if 0 < sequence < expected:
        return errors.AlreadyExists(
            "SEQUENCE_REPLAYED",
            f"batch {sequence} is committed already or in flight",
            fix=f"go on with {expected}",
            metadata=metadata,
        )
    return errors.FailedPrecondition(
        "SEQUENCE_GAP",
        f"batch {sequence} came where {expected} was due",
        fix=f"send {expected} first; sequences begin with 1 and have no gaps",
        metadata=metadata,
        retry_after=0.0,
    )


def _token_expired() -> errors.IntelGraphError:
    return errors.Unauthenticated(
        "TOKEN_EXPIRED",
        "the access token has expired",
        fix="send RefreshToken before the token expires, or open the stream again with a new one",
    )
