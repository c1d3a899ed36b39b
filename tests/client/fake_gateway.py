"""A gateway that speaks the real wire and misbehaves on demand: a double of the wire for faults only.

It keeps the rules of `ingest.proto`: a reply per batch, in order; what is committed is never forgotten; a
newer connection fences the older; after a refusal all is refused until the refused batch comes again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import grpc
from google.rpc import status_pb2
from grpc_status.rpc_status import to_status as to_grpc_status

from intelgraph import errors
from intelgraph.gateway.v1 import ingest_pb2, ingest_pb2_grpc


class Reaction(Enum):
    """What the gateway does with a batch."""

    COMMIT = auto()
    DROP_BEFORE_COMMIT = auto()
    COMMIT_AND_DROP = auto()
    """The batch is durable and the answer is lost."""
    REFUSE = auto()
    REJECT = auto()
    SUSPEND = auto()
    """The tenant is suspended: the stream ends for good."""


@dataclass
class Committed:
    """What one stream id has durably."""

    sequence: int = 0
    documents: list[bytes] = field(default_factory=list)
    keys_deleted: list[bytes] = field(default_factory=list)
    epoch: int = 0


class FakeGateway(ingest_pb2_grpc.IngestServiceServicer):
    """`react(sequence)` decides about each batch that would be committed."""

    def __init__(self) -> None:
        self.streams: defaultdict[str, Committed] = defaultdict(Committed)
        self.react: Callable[[int], Reaction] = lambda sequence: Reaction.COMMIT
        self.credit = 1 << 20
        self.max_batch_records = 1000
        self.max_batch_bytes = 1 << 20
        self.answering = asyncio.Event()
        self.answering.set()
        self.retry_after = 0.01
        self.accepts: Callable[[str | None], bool] = lambda token: True
        self.openings: list[ingest_pb2.OpenStream] = []
        self.tokens: list[str | None] = []
        self.refreshes: list[str] = []
        self.received_bytes = 0
        self.answered_bytes = 0
        self.most_in_flight = 0
        self.refusals = 0
        self.open_failures: list[errors.IntelGraphError] = []

    async def Stream(  # noqa: N802 - the name is the wire's
        self, request_iterator: AsyncIterator[ingest_pb2.StreamRequest], context: Any
    ) -> AsyncIterator[ingest_pb2.StreamResponse]:
        token = _token(context)
        self.tokens.append(token)
        if not self.accepts(token):
            await _end(context, errors.Unauthenticated("TOKEN_EXPIRED", "expired"))
        if self.open_failures:
            await _end(context, self.open_failures.pop(0))
        opening = (await anext(request_iterator)).open
        self.openings.append(opening)
        stream = self.streams[opening.stream_id]
        stream.epoch += 1
        epoch = stream.epoch
        yield self._opened(stream)
        batches: asyncio.Queue[ingest_pb2.Batch | None] = asyncio.Queue()
        reader = asyncio.create_task(self._receive(request_iterator, batches))
        try:
            async for reply in self._replies(stream, epoch, batches, context):
                yield reply
        finally:
            reader.cancel()

    def _opened(self, stream: Committed) -> ingest_pb2.StreamResponse:
        return ingest_pb2.StreamResponse(
            opened=ingest_pb2.StreamOpened(
                last_committed_sequence=stream.sequence,
                credit_bytes=self.credit,
                limits=ingest_pb2.StreamLimits(
                    max_batch_bytes=self.max_batch_bytes,
                    max_batch_records=self.max_batch_records,
                    max_record_bytes=1 << 20,
                    max_depth=64,
                ),
                contract_digest=b"\x01" * 32,
                contract_version="1.0.0",
            )
        )

    async def _receive(
        self,
        requests: AsyncIterator[ingest_pb2.StreamRequest],
        batches: asyncio.Queue[ingest_pb2.Batch | None],
    ) -> None:
        async for request in requests:
            if request.WhichOneof("message") == "refresh":
                self.refreshes.append(request.refresh.access_token)
                continue
            self.received_bytes += request.ByteSize()
            self.most_in_flight = max(self.most_in_flight, self.received_bytes - self.answered_bytes)
            batches.put_nowait(request.batch)
        batches.put_nowait(None)

    async def _replies(
        self,
        stream: Committed,
        epoch: int,
        batches: asyncio.Queue[ingest_pb2.Batch | None],
        context: Any,
    ) -> AsyncIterator[ingest_pb2.StreamResponse]:
        while (batch := await batches.get()) is not None:
            await self.answering.wait()
            if stream.epoch != epoch:
                await _end(context, errors.Aborted("STREAM_FENCED", "opened again elsewhere"))
            size = ingest_pb2.StreamRequest(batch=batch).ByteSize()
            self.answered_bytes += size
            if batch.sequence != stream.sequence + 1:
                self.refusals += 1
                yield _rejected(batch.sequence, size, self._gap(), consumed=False)
                continue
            reaction = self.react(batch.sequence)
            if reaction is Reaction.REFUSE:
                self.refusals += 1
                busy = errors.ResourceExhausted("RATE_LIMIT", "too fast", retry_after=self.retry_after)
                yield _rejected(batch.sequence, size, busy, consumed=False)
                continue
            if reaction is Reaction.SUSPEND:
                await _end(context, errors.PermissionDenied("TENANT_SUSPENDED", "not now"))
            if reaction is Reaction.REJECT:
                stream.sequence = batch.sequence
                poison = errors.InvalidArgument("BATCH_POISON", "never", fix="send something else")
                yield _rejected(batch.sequence, size, poison, consumed=True)
                continue
            if reaction is not Reaction.DROP_BEFORE_COMMIT:
                _commit(stream, batch)
            if reaction is not Reaction.COMMIT:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")
            yield self.acknowledgement(batch, size)

    def acknowledgement(self, batch: ingest_pb2.Batch, size: int) -> ingest_pb2.StreamResponse:
        """The answer to a batch that is durable: every record is accepted."""
        count = len(batch.records)
        return ingest_pb2.StreamResponse(
            ack=ingest_pb2.BatchAck(
                sequence=batch.sequence,
                accepted=count,
                first_change_seq=1,
                last_change_seq=count,
                recorded_us=1_700_000_000_000_000,
                credit_bytes=size,
            )
        )

    def _gap(self) -> errors.IntelGraphError:
        return errors.FailedPrecondition("SEQUENCE_GAP", "an earlier batch is due", retry_after=0.0)


@asynccontextmanager
async def serving(*servicers: tuple[Callable[[Any, Any], None], Any]) -> AsyncIterator[str]:
    """Serves on loopback; the address. Each servicer comes with the function that adds it to a server."""
    server = grpc.aio.server()
    for add, servicer in servicers:
        add(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def ingest(gateway: FakeGateway) -> tuple[Callable[[Any, Any], None], Any]:
    """The gateway as `serving` takes it."""
    return ingest_pb2_grpc.add_IngestServiceServicer_to_server, gateway


async def end(context: Any, error: errors.IntelGraphError) -> None:
    """Ends a call with the status that the real gateway would send."""
    await _end(context, error)


def _commit(stream: Committed, batch: ingest_pb2.Batch) -> None:
    stream.sequence = batch.sequence
    for record in batch.records:
        if record.WhichOneof("operation") == "delete":
            stream.keys_deleted.append(record.delete.key)
        else:
            stream.documents.append(record.upsert)


def _rejected(
    sequence: int, size: int, error: errors.IntelGraphError, *, consumed: bool
) -> ingest_pb2.StreamResponse:
    status: status_pb2.Status = errors.to_status(error)
    return ingest_pb2.StreamResponse(
        rejected=ingest_pb2.BatchRejected(
            sequence=sequence, status=status, consumed=consumed, credit_bytes=size
        )
    )


async def _end(context: Any, error: errors.IntelGraphError) -> None:
    status = to_grpc_status(errors.to_status(error))
    await context.abort(status.code, status.details, status.trailing_metadata)


def _token(context: Any) -> str | None:
    for key, value in context.invocation_metadata():
        if key == "authorization":
            return str(value).removeprefix("Bearer ")
    return None
