"""`OperationService`: shows, follows and cancels what is longer than a request."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import orjson

from intelgraph.errors import InvalidArgument
from intelgraph.gateway.identity import current_identity
from intelgraph.gateway.page_token import PageScope, page_size
from intelgraph.gateway.server import Service
from intelgraph.gateway.v1 import operation_pb2, operation_pb2_grpc
from intelgraph.operations.operation import Operation, OperationState
from intelgraph.operations.rows import OperationPlace

if TYPE_CHECKING:
    import grpc

    from intelgraph.operations.operations import Operations

    Context = grpc.aio.ServicerContext[Any, Any]

_NAME: Final = operation_pb2.DESCRIPTOR.services_by_name["OperationService"].full_name

_STATES: Final = {
    OperationState.WAITING: operation_pb2.OPERATION_STATE_WAITING,
    OperationState.RUNNING: operation_pb2.OPERATION_STATE_RUNNING,
    OperationState.CANCELLING: operation_pb2.OPERATION_STATE_CANCELLING,
    OperationState.DONE: operation_pb2.OPERATION_STATE_DONE,
    OperationState.FAILED: operation_pb2.OPERATION_STATE_FAILED,
    OperationState.CANCELLED: operation_pb2.OPERATION_STATE_CANCELLED,
}
_BY_NUMBER: Final = {int(number): state for state, number in _STATES.items()}


class OperationService(operation_pb2_grpc.OperationServiceServicer):
    """The operations of the caller's tenant."""

    def __init__(self, operations: "Operations") -> None:
        self._operations = operations

    def service(self) -> Service:
        """The service, to be added to the server."""
        return Service(
            _NAME, lambda server: operation_pb2_grpc.add_OperationServiceServicer_to_server(self, server)
        )

    async def GetOperation(  # noqa: N802 (gRPC's name)
        self, request: operation_pb2.GetOperationRequest, context: "Context"
    ) -> operation_pb2.GetOperationResponse:
        tenant = current_identity.get().tenant
        operation = await self._operations.get(tenant, _identifier(request.operation_id))
        return operation_pb2.GetOperationResponse(operation=message(operation, self._operations))

    async def ListOperations(  # noqa: N802 (gRPC's name)
        self, request: operation_pb2.ListOperationsRequest, context: "Context"
    ) -> operation_pb2.ListOperationsResponse:
        tenant = current_identity.get().tenant
        states = sorted({int(state) for state in request.states})
        scope = PageScope(tenant.tenant_id, ("ListOperations", request.kind, str(states)))
        size = page_size(request.page_size, default=50, most=500)
        position = scope.position(request.page_token, int, str)
        found = await self._operations.page(
            tenant,
            kind=request.kind,
            states=[_state(number) for number in states],
            before=OperationPlace(int(position[0]), UUID(str(position[1]))) if position else None,
            limit=size + 1,
        )
        page, more = found[:size], len(found) > size
        return operation_pb2.ListOperationsResponse(
            operations=[message(operation, self._operations) for operation in page],
            next_page_token=scope.token((page[-1].created_us, str(page[-1].operation_id))) if more else "",
        )

    async def WatchOperation(  # noqa: N802 (gRPC's name)
        self, request: operation_pb2.WatchOperationRequest, context: "Context"
    ) -> AsyncIterator[operation_pb2.WatchOperationResponse]:
        tenant = current_identity.get().tenant
        async for operation in self._operations.watch(tenant, _identifier(request.operation_id)):
            yield operation_pb2.WatchOperationResponse(operation=message(operation, self._operations))

    async def CancelOperation(  # noqa: N802 (gRPC's name)
        self, request: operation_pb2.CancelOperationRequest, context: "Context"
    ) -> operation_pb2.CancelOperationResponse:
        caller = current_identity.get()
        operation_id = _identifier(request.operation_id)
        operation = await self._operations.cancel(caller.tenant, operation_id, caller.actor)
        return operation_pb2.CancelOperationResponse(operation=message(operation, self._operations))


def message(operation: Operation, operations: "Operations") -> operation_pb2.Operation:
    """An operation as it travels."""
    return operation_pb2.Operation(
        operation_id=str(operation.operation_id),
        kind=operation.kind,
        state=_STATES[operation.state],
        input_json=operation.input,
        result_json=orjson.dumps(operations.result(operation)).decode(),
        created_us=operation.created_us,
        created_by=operation.created_by,
        deadline_us=operation.deadline_us or 0,
        started_us=operation.started_us or 0,
        updated_us=operation.updated_us,
        finished_us=operation.finished_us or 0,
        holder=operation.holder,
        step=operation.step,
        steps=operation.steps,
        done=operation.done,
        total=operation.total,
        rate=operation.rate,
        remaining_s=operation.remaining_seconds,
        yielding=operation.yielding,
        attempts=operation.attempts,
        cancelled_by=operation.cancelled_by or "",
        reason=operation.reason,
        message=operation.message,
        undone=operation.undone,
    )


def _identifier(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidArgument(
            "OPERATION_ID_INVALID",
            "the operation id is not a UUID",
            fix="copy it from the answer that started the operation, or from the list",
        ) from None


def _state(number: int) -> OperationState:
    try:
        return _BY_NUMBER[number]
    except KeyError:
        raise InvalidArgument(
            "OPERATION_STATE_INVALID",
            "the list is asked for a state that there is not",
            fix="use the values of OperationState in proto/intelgraph/gateway/v1/operation.proto",
        ) from None
