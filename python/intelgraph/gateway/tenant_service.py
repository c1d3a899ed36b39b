"""`TenantService`: creates, lists, limits, suspends and offboards tenants."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from intelgraph.gateway.identity import current_identity
from intelgraph.gateway.page_token import PageScope, page_size
from intelgraph.gateway.v1 import tenant_pb2, tenant_pb2_grpc
from intelgraph.tenants.limits import LimitChanges
from intelgraph.tenants.registry import Tenant, TenantRegistry, TenantState

if TYPE_CHECKING:
    import grpc

    Context = grpc.aio.ServicerContext[Any, Any]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_STATES: Final = {
    TenantState.ACTIVE: tenant_pb2.TENANT_STATE_ACTIVE,
    TenantState.SUSPENDED: tenant_pb2.TENANT_STATE_SUSPENDED,
    TenantState.OFFBOARDED: tenant_pb2.TENANT_STATE_OFFBOARDED,
}


class TenantService(tenant_pb2_grpc.TenantServiceServicer):
    """For operators, across tenants: the caller's own tenant only tells who asks."""

    def __init__(self, registry: TenantRegistry) -> None:
        self._registry = registry

    async def CreateTenant(  # noqa: N802 (gRPC's name)
        self, request: tenant_pb2.CreateTenantRequest, context: "Context"
    ) -> tenant_pb2.CreateTenantResponse:
        tenant = await self._registry.create(request.name, _changes(request.limits))
        return tenant_pb2.CreateTenantResponse(tenant=_message(tenant))

    async def ListTenants(  # noqa: N802 (gRPC's name)
        self, request: tenant_pb2.ListTenantsRequest, context: "Context"
    ) -> tenant_pb2.ListTenantsResponse:
        scope = PageScope(current_identity.get().tenant.tenant_id, ("ListTenants",))
        size = page_size(request.page_size, default=100, most=1000)
        position = scope.position(request.page_token, str)
        tenants = await self._registry.page(str(position[0]) if position else "", size + 1)
        page = tenants[:size]
        return tenant_pb2.ListTenantsResponse(
            tenants=[_message(tenant) for tenant in page],
            next_page_token=scope.token((page[-1].name,)) if len(tenants) > size else "",
        )

    async def UpdateTenantLimits(  # noqa: N802 (gRPC's name)
        self, request: tenant_pb2.UpdateTenantLimitsRequest, context: "Context"
    ) -> tenant_pb2.UpdateTenantLimitsResponse:
        tenant = await self._registry.set_limits(request.name, _changes(request.limits))
        return tenant_pb2.UpdateTenantLimitsResponse(tenant=_message(tenant))

    async def SuspendTenant(  # noqa: N802 (gRPC's name)
        self, request: tenant_pb2.SuspendTenantRequest, context: "Context"
    ) -> tenant_pb2.SuspendTenantResponse:
        move = self._registry.resume if request.resume else self._registry.suspend
        return tenant_pb2.SuspendTenantResponse(tenant=_message(await move(request.name)))

    async def OffboardTenant(  # noqa: N802 (gRPC's name)
        self, request: tenant_pb2.OffboardTenantRequest, context: "Context"
    ) -> tenant_pb2.OffboardTenantResponse:
        tenant = await self._registry.offboard(request.name)
        return tenant_pb2.OffboardTenantResponse(tenant=_message(tenant))


def _changes(limits: tenant_pb2.TenantLimits) -> LimitChanges:
    return LimitChanges(
        streams=limits.streams if limits.HasField("streams") else None,
        records_per_second=limits.records_per_second if limits.HasField("records_per_second") else None,
        bytes_in_flight=limits.bytes_in_flight if limits.HasField("bytes_in_flight") else None,
        quarantine_records=limits.quarantine_records if limits.HasField("quarantine_records") else None,
        cache_share_percent=limits.cache_share_percent if limits.HasField("cache_share_percent") else None,
    )


def _message(tenant: Tenant) -> tenant_pb2.Tenant:
    return tenant_pb2.Tenant(
        tenant_id=str(tenant.tenant_id),
        name=tenant.name,
        state=_STATES[tenant.state],
        limits=tenant_pb2.TenantLimits(**tenant.limits.to_stored()),
        created_us=(tenant.created_at - _EPOCH) // timedelta(microseconds=1),
    )
