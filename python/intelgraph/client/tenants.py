"""Tenants and their limits, for operators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING
from uuid import UUID

from intelgraph.client.times import from_us
from intelgraph.gateway.v1 import tenant_pb2, tenant_pb2_grpc

if TYPE_CHECKING:
    from datetime import datetime

    import grpc

    from intelgraph.client.calls import Caller


class TenantState(IntEnum):
    """State of a tenant."""

    ACTIVE = tenant_pb2.TENANT_STATE_ACTIVE
    SUSPENDED = tenant_pb2.TENANT_STATE_SUSPENDED
    """Denied everything until it is let go on; keeps its data."""
    OFFBOARDED = tenant_pb2.TENANT_STATE_OFFBOARDED
    """Denied for good."""


@dataclass(frozen=True, slots=True)
class TenantLimits:
    """Limits of a tenant. In a request, None leaves a limit as it is."""

    streams: int | None = None
    """Open ingest streams on all gateways of one process."""
    records_per_second: int | None = None
    """Averaged over a second; 0 means no limit."""
    bytes_in_flight: int | None = None
    """Bytes of batches that are received and not yet answered."""
    quarantine_records: int | None = None
    """Records that may wait in quarantine."""
    cache_share_percent: int | None = None
    """Share of the process's heads cache, 1 to 100."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant."""

    tenant_id: UUID
    name: str
    state: TenantState
    limits: TenantLimits
    created_us: int
    """Microseconds since the Unix epoch."""

    @property
    def created(self) -> datetime:
        """When it was created."""
        return from_us(self.created_us)


class Tenants:
    """Creates, limits, suspends and offboards tenants. All but `create` and `list` raise NotFound."""

    def __init__(self, channel: grpc.aio.Channel, caller: Caller) -> None:
        self._stub = tenant_pb2_grpc.TenantServiceStub(channel)
        self._caller = caller

    async def create(
        self, name: str, limits: TenantLimits | None = None, *, timeout: float | None = None
    ) -> Tenant:
        """Creates a tenant; limits that are not given take the defaults. Raises AlreadyExists."""
        request = tenant_pb2.CreateTenantRequest(name=name, limits=_limits(limits or TenantLimits()))
        return _tenant((await self._caller.call(self._stub.CreateTenant, request, timeout)).tenant)

    async def list(self, *, timeout: float | None = None) -> AsyncIterator[Tenant]:
        """Tenants by name."""
        token = ""
        while True:
            request = tenant_pb2.ListTenantsRequest(page_token=token)
            page = await self._caller.call(self._stub.ListTenants, request, timeout)
            for tenant in page.tenants:
                yield _tenant(tenant)
            token = page.next_page_token
            if not token:
                return

    async def set_limits(self, name: str, limits: TenantLimits, *, timeout: float | None = None) -> Tenant:
        """Changes the limits that are given."""
        request = tenant_pb2.UpdateTenantLimitsRequest(name=name, limits=_limits(limits))
        return _tenant((await self._caller.call(self._stub.UpdateTenantLimits, request, timeout)).tenant)

    async def suspend(self, name: str, *, timeout: float | None = None) -> Tenant:
        """Denies a tenant everything until `resume`."""
        request = tenant_pb2.SuspendTenantRequest(name=name)
        return _tenant((await self._caller.call(self._stub.SuspendTenant, request, timeout)).tenant)

    async def resume(self, name: str, *, timeout: float | None = None) -> Tenant:
        """Lets a suspended tenant go on."""
        request = tenant_pb2.SuspendTenantRequest(name=name, resume=True)
        return _tenant((await self._caller.call(self._stub.SuspendTenant, request, timeout)).tenant)

    async def offboard(self, name: str, *, timeout: float | None = None) -> Tenant:
        """Denies a tenant for good; its name is never given again."""
        request = tenant_pb2.OffboardTenantRequest(name=name)
        return _tenant((await self._caller.call(self._stub.OffboardTenant, request, timeout)).tenant)


def _limits(limits: TenantLimits) -> tenant_pb2.TenantLimits:
    return tenant_pb2.TenantLimits(
        streams=limits.streams,
        records_per_second=limits.records_per_second,
        bytes_in_flight=limits.bytes_in_flight,
        quarantine_records=limits.quarantine_records,
        cache_share_percent=limits.cache_share_percent,
    )


def _tenant(tenant: tenant_pb2.Tenant) -> Tenant:
    limits = tenant.limits
    return Tenant(
        tenant_id=UUID(tenant.tenant_id),
        name=tenant.name,
        state=TenantState(tenant.state),
        limits=TenantLimits(
            streams=limits.streams if limits.HasField("streams") else None,
            records_per_second=limits.records_per_second if limits.HasField("records_per_second") else None,
            bytes_in_flight=limits.bytes_in_flight if limits.HasField("bytes_in_flight") else None,
            quarantine_records=limits.quarantine_records if limits.HasField("quarantine_records") else None,
            cache_share_percent=limits.cache_share_percent
            if limits.HasField("cache_share_percent")
            else None,
        ),
        created_us=tenant.created_us,
    )
