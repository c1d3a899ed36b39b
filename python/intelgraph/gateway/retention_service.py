"""`RetentionService`: starts runs of retention."""

from typing import TYPE_CHECKING, Any, Final

from intelgraph.gateway.identity import current_identity
from intelgraph.gateway.operation_service import message
from intelgraph.gateway.server import Service
from intelgraph.gateway.v1 import retention_pb2, retention_pb2_grpc
from intelgraph.retention.progress import RetentionInput

if TYPE_CHECKING:
    import grpc

    from intelgraph.contracts.registry import ContractRegistry
    from intelgraph.operations.operations import Operations
    from intelgraph.retention.run import RetentionRun

    Context = grpc.aio.ServicerContext[Any, Any]

_NAME: Final = retention_pb2.DESCRIPTOR.services_by_name["RetentionService"].full_name


class RetentionService(retention_pb2_grpc.RetentionServiceServicer):
    """Retention of the caller's tenant."""

    def __init__(self, operations: "Operations", kind: "RetentionRun", contracts: "ContractRegistry") -> None:
        self._operations = operations
        self._kind = kind
        self._contracts = contracts

    def service(self) -> Service:
        """The service, to be added to the server."""
        return Service(
            _NAME, lambda server: retention_pb2_grpc.add_RetentionServiceServicer_to_server(self, server)
        )

    async def RunRetention(  # noqa: N802 (gRPC's name)
        self, request: retention_pb2.RunRetentionRequest, context: "Context"
    ) -> retention_pb2.RunRetentionResponse:
        caller = current_identity.get()
        datasets = tuple(sorted(set(request.datasets)))
        for dataset in datasets:
            await self._contracts.dataset_id(caller.tenant, dataset)
        operation = await self._operations.start(
            caller.tenant,
            self._kind,
            RetentionInput(datasets, request.dry_run),
            caller.actor,
            deadline_seconds=float(request.deadline_s) or None,
        )
        return retention_pb2.RunRetentionResponse(operation=message(operation, self._operations))
