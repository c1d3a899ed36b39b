"""`TenantService`: creates, lists, limits, suspends and offboards tenants."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from intelgraph.errors import FailedPrecondition
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

    def __init__(self, registry: TenantRegistry, platform_tenant: str) -> None:
        """`platform_tenant` is the name of the tenant that administers the others: it stays active."""
        self._registry = registry
        self._platform_tenant = platform_tenant

    async def CreateTenant(  # noqa: N802 (gRPC's name)
        self, request: tenant_pb2.CreateTenantRequest, context: "Context"
    ) -> tenant_pb2.CreateTenantResponse:
        tenant = await self._registry.create(
            request.name, _changes(request.limits), by=current_identity.get().actor
        )
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
        tenant = await self._registry.set_limits(
            request.name, _changes(request.limits), by=current_identity.get().actor
        )
        return tenant_pb2.UpdateTenantLimitsResponse(tenant=_message(tenant))

    async def SuspendTenant(  # noqa: N802 (gRPC's name)
        self, request: tenant_pb2.SuspendTenantRequest, context: "Context"
    ) -> tenant_pb2.SuspendTenantResponse:
        by = current_identity.get().actor
        if request.resume:
            tenant = await self._registry.resume(request.name, by=by)
        else:
            self._require_not_platform(request.name)
            tenant = await self._registry.suspend(request.name, by=by)
        return tenant_pb2.SuspendTenantResponse(tenant=_message(tenant))

    async def OffboardTenant(  # noqa: N802 (gRPC's name)
        self, request: tenant_pb2.OffboardTenantRequest, context: "Context"
    ) -> tenant_pb2.OffboardTenantResponse:
        self._require_not_platform(request.name)
        tenant = await self._registry.offboard(request.name, by=current_identity.get().actor)
        return tenant_pb2.OffboardTenantResponse(tenant=_message(tenant))

    def _require_not_platform(self, name: str) -> None:
        """Nobody could undo it: who may is an identity of that tenant, and would be denied."""
        if name == self._platform_tenant:
            raise FailedPrecondition(
                "PLATFORM_TENANT",
                f"the tenant {name} administers the others, and nobody could undo it",
                fix="suspend the tenants that you mean one by one, or let another tenant administer: set"
                " platform_tenant and start the gateways again",
            )


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
