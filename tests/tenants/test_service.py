"""The service of tenants: what operators do, as messages."""

from typing import Any

import pytest

from intelgraph.errors import FailedPrecondition, InvalidArgument
from intelgraph.gateway.identity import Identity, current_identity
from intelgraph.gateway.tenant_service import TenantService
from intelgraph.gateway.v1 import tenant_pb2
from intelgraph.provenance.ledger import Ledger
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import Tenant, TenantRegistry, TenantState
from tests.parts.ledger import TESTER

CONTEXT: Any = None  # the handlers do not look at it


def _call_as(tenant: Tenant) -> None:
    current_identity.set(Identity(tenant, "op", frozenset({"operator"}), float("inf"), "jwt"))


async def test_an_operator_creates_limits_suspends_and_offboards(database: Database, ledger: Ledger) -> None:
    registry = TenantRegistry(database, ledger)
    service = TenantService(registry, "local")
    _call_as(await registry.ensure("local"))
    created = await service.CreateTenant(
        tenant_pb2.CreateTenantRequest(name="acme", limits=tenant_pb2.TenantLimits(streams=2)), CONTEXT
    )
    assert created.tenant.state == tenant_pb2.TENANT_STATE_ACTIVE
    assert created.tenant.limits.streams == 2
    assert created.tenant.limits.HasField("records_per_second")
    assert created.tenant.created_us > 1_700_000_000_000_000

    limits = tenant_pb2.TenantLimits(records_per_second=0, quarantine_records=5)
    limited = await service.UpdateTenantLimits(
        tenant_pb2.UpdateTenantLimitsRequest(name="acme", limits=limits), CONTEXT
    )
    assert (limited.tenant.limits.streams, limited.tenant.limits.quarantine_records) == (2, 5)

    suspended = await service.SuspendTenant(tenant_pb2.SuspendTenantRequest(name="acme"), CONTEXT)
    assert suspended.tenant.state == tenant_pb2.TENANT_STATE_SUSPENDED
    resumed = await service.SuspendTenant(tenant_pb2.SuspendTenantRequest(name="acme", resume=True), CONTEXT)
    assert resumed.tenant == limited.tenant
    gone = await service.OffboardTenant(tenant_pb2.OffboardTenantRequest(name="acme"), CONTEXT)
    assert gone.tenant.state == tenant_pb2.TENANT_STATE_OFFBOARDED


async def test_the_platform_tenant_stays_active(database: Database, ledger: Ledger) -> None:
    registry = TenantRegistry(database, ledger)
    _call_as(await registry.ensure("local"))
    service = TenantService(registry, "local")
    with pytest.raises(FailedPrecondition, match="PLATFORM_TENANT"):
        await service.SuspendTenant(tenant_pb2.SuspendTenantRequest(name="local"), CONTEXT)
    with pytest.raises(FailedPrecondition, match="PLATFORM_TENANT"):
        await service.OffboardTenant(tenant_pb2.OffboardTenantRequest(name="local"), CONTEXT)
    assert (await TenantRegistry(database, ledger).get("local")).state is TenantState.ACTIVE

    # One that was suspended past the gateway, or under another setting, is let go on.
    await registry.suspend("local", by=TESTER)
    resumed = await service.SuspendTenant(tenant_pb2.SuspendTenantRequest(name="local", resume=True), CONTEXT)
    assert resumed.tenant.state == tenant_pb2.TENANT_STATE_ACTIVE


async def test_tenants_are_listed_page_by_page(database: Database, ledger: Ledger) -> None:
    registry = TenantRegistry(database, ledger)
    tenants = [await registry.create(f"t{number}", by=TESTER) for number in range(5)]
    service = TenantService(registry, "local")
    request = tenant_pb2.ListTenantsRequest(page_size=2)
    listed: list[str] = []
    while not listed or request.page_token:
        _call_as(tenants[0])
        page = await service.ListTenants(request, CONTEXT)
        listed += [tenant.name for tenant in page.tenants]
        request.page_token = page.next_page_token
    assert listed == [tenant.name for tenant in tenants]

    request.page_token = (await service.ListTenants(request, CONTEXT)).next_page_token
    current_identity.set(Identity(tenants[1], "op", frozenset({"operator"}), float("inf"), "jwt"))
    with pytest.raises(InvalidArgument):
        await service.ListTenants(request, CONTEXT)
