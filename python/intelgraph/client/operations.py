"""What is longer than a request: shown, followed to its end, cancelled."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import grpc

from intelgraph.client.calls import Caller, authorization
from intelgraph.client.failures import from_rpc, is_transient
from intelgraph.client.retry import Patience, RetryPolicy
from intelgraph.client.times import from_us
from intelgraph.errors import IntelGraphError
from intelgraph.gateway.v1 import operation_pb2, operation_pb2_grpc, retention_pb2, retention_pb2_grpc

if TYPE_CHECKING:
    from datetime import datetime


class OperationState(IntEnum):
    """Where an operation stands."""

    WAITING = operation_pb2.OPERATION_STATE_WAITING
    RUNNING = operation_pb2.OPERATION_STATE_RUNNING
    CANCELLING = operation_pb2.OPERATION_STATE_CANCELLING
    DONE = operation_pb2.OPERATION_STATE_DONE
    FAILED = operation_pb2.OPERATION_STATE_FAILED
    CANCELLED = operation_pb2.OPERATION_STATE_CANCELLED

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self >= OperationState.DONE


@dataclass(frozen=True, slots=True)
class LongOperation:
    """An operation as it was. Times are microseconds since the Unix epoch; 0 before they come."""

    operation_id: UUID
    kind: str
    state: OperationState
    input: Any = field(repr=False)
    """What was asked for, as its kind defines it."""
    result: Any = field(repr=False)
    """What it found or did so far, as its kind defines it."""
    created_us: int
    created_by: str
    deadline_us: int
    started_us: int
    updated_us: int
    finished_us: int
    holder: str
    """The gateway that runs it, or ran it last."""
    step: str
    """The step that was committed last."""
    steps: int
    done: int
    total: int | None
    rate: float
    """Units per second, of late."""
    remaining_seconds: float | None
    """From now to its end, estimated; None while one cannot know."""
    yielding: bool
    """Whether it waits for live traffic to get faster."""
    attempts: int
    cancelled_by: str
    reason: str
    """Why it failed, or was put back last."""
    message: str
    undone: str
    """Of a cancelled operation: what was undone, and what stays."""

    @property
    def created(self) -> datetime:
        """When it was asked for."""
        return from_us(self.created_us)


class Operations:
    """Shows, follows and cancels operations."""

    def __init__(self, channel: grpc.aio.Channel, caller: Caller, policy: RetryPolicy) -> None:
        self._stub = operation_pb2_grpc.OperationServiceStub(channel)
        self._caller = caller
        self._policy = policy

    async def get(self, operation_id: UUID, *, timeout: float | None = None) -> LongOperation:
        """An operation. Raises NotFound."""
        request = operation_pb2.GetOperationRequest(operation_id=str(operation_id))
        return operation_of((await self._caller.call(self._stub.GetOperation, request, timeout)).operation)

    async def list(
        self,
        *,
        kind: str = "",
        states: Sequence[OperationState] = (),
        timeout: float | None = None,
    ) -> AsyncIterator[LongOperation]:
        """Operations, newest first, of one kind or all, in some states or all."""
        token = ""
        while True:
            request = operation_pb2.ListOperationsRequest(
                kind=kind,
                states=[operation_pb2.OperationState.ValueType(state) for state in states],
                page_size=500,
                page_token=token,
            )
            page = await self._caller.call(self._stub.ListOperations, request, timeout)
            for operation in page.operations:
                yield operation_of(operation)
            token = page.next_page_token
            if not token:
                return

    async def cancel(self, operation_id: UUID, *, timeout: float | None = None) -> LongOperation:
        """Cancels an operation: it ends before its next step. The second time changes nothing.

        Raises NotFound, and FailedPrecondition OPERATION_ENDED.
        """
        request = operation_pb2.CancelOperationRequest(operation_id=str(operation_id))
        return operation_of((await self._caller.call(self._stub.CancelOperation, request, timeout)).operation)

    async def watch(self, operation_id: UUID) -> AsyncGenerator[LongOperation, None]:
        """The operation now, and whenever it has changed, to its end. Connects again by itself. Raises NotFound."""
        patience, last = Patience(self._policy), None
        while last is None or not last.state.is_final:
            try:
                async for last in self._watched(operation_id):
                    patience.restore()
                    yield last
            except IntelGraphError as error:
                if not is_transient(error):
                    raise
                await patience.wait(error)

    async def _watched(self, operation_id: UUID) -> AsyncIterator[LongOperation]:
        request = operation_pb2.WatchOperationRequest(operation_id=str(operation_id))
        token = await self._caller.tokens.get()
        call = self._stub.WatchOperation(request, metadata=authorization(token))
        try:
            async for response in call:
                yield operation_of(response.operation)
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error) from error
        finally:
            call.cancel()


class Retention:
    """Removes what its contracts no longer keep."""

    def __init__(self, channel: grpc.aio.Channel, caller: Caller) -> None:
        self._stub = retention_pb2_grpc.RetentionServiceStub(channel)
        self._caller = caller

    async def run(
        self,
        datasets: Sequence[str] = (),
        *,
        dry_run: bool = False,
        deadline_seconds: int = 0,
        timeout: float | None = None,
    ) -> LongOperation:
        """Starts a run over these datasets or all, or only has it say what would go. Its result has the counts.

        Raises AlreadyExists OPERATION_UNDER_WAY, NotFound DATASET_NOT_FOUND.
        """
        request = retention_pb2.RunRetentionRequest(
            datasets=datasets, dry_run=dry_run, deadline_s=deadline_seconds
        )
        return operation_of((await self._caller.call(self._stub.RunRetention, request, timeout)).operation)


def operation_of(operation: operation_pb2.Operation) -> LongOperation:
    """An operation in the client's terms."""
    return LongOperation(
        operation_id=UUID(operation.operation_id),
        kind=operation.kind,
        state=OperationState(operation.state),
        input=json.loads(operation.input_json),
        result=json.loads(operation.result_json),
        created_us=operation.created_us,
        created_by=operation.created_by,
        deadline_us=operation.deadline_us,
        started_us=operation.started_us,
        updated_us=operation.updated_us,
        finished_us=operation.finished_us,
        holder=operation.holder,
        step=operation.step,
        steps=operation.steps,
        done=operation.done,
        total=operation.total if operation.HasField("total") else None,
        rate=operation.rate,
        remaining_seconds=operation.remaining_s if operation.HasField("remaining_s") else None,
        yielding=operation.yielding,
        attempts=operation.attempts,
        cancelled_by=operation.cancelled_by,
        reason=operation.reason,
        message=operation.message,
        undone=operation.undone,
    )
