"""A KMS that does not answer: what was granted runs to its end, and beyond only where the tenant allows."""

import asyncio
import time

import pytest

from intelgraph import errors
from intelgraph.keys.provider import Denial, Denied, Throttled, Unreachable
from intelgraph.tenants.registry import Tenant
from tests.keys.conftest import StartGateway
from tests.keys.gateway import until

pytestmark = pytest.mark.usefixtures("quick_upkeep")

LEASE = 1.0


@pytest.mark.parametrize("fault", [Unreachable("away", 0.1), Throttled("too often", 0.1)])
async def test_a_lease_runs_to_its_end_and_no_further(
    start: StartGateway, tenant: Tenant, fault: Unreachable | Throttled
) -> None:
    gateway = await start(lease_seconds=LEASE)
    begun = time.monotonic()
    await gateway.keys.ensure_seal_slot(tenant, 1)
    gateway.kms.fault = fault
    await asyncio.sleep(0.75 * LEASE)
    await gateway.keys.ensure_seal_slot(tenant, 1)
    assert gateway.slot(tenant) == "ready"
    assert gateway.kms.asked("unwrap") > 1, "renewal was tried"
    await until(lambda: len(gateway.endings) > 0)
    assert LEASE <= gateway.endings[0] - begun < LEASE + 0.5
    assert gateway.slot(tenant) == "unleased"
    with pytest.raises(errors.Unavailable) as caught:
        await gateway.keys.ensure_seal_slot(tenant, 1)
    assert caught.value.reason == "KEY_UNAVAILABLE"
    assert caught.value.retry_after == 1.0


async def test_a_lease_is_kept_through_a_short_outage(start: StartGateway, tenant: Tenant) -> None:
    gateway = await start(lease_seconds=LEASE)
    await gateway.keys.ensure_seal_slot(tenant, 1)
    first = gateway.lease(tenant)
    gateway.kms.fault = Unreachable("away", 0.1)
    await until(lambda: gateway.keys._custodies[tenant.tenant_id].failing)
    gateway.kms.fault = None
    await until(lambda: not gateway.keys._custodies[tenant.tenant_id].failing)
    await asyncio.sleep(LEASE / 2)
    assert gateway.lease(tenant) == first
    assert gateway.endings == []


async def test_a_tenant_may_allow_a_longer_end(
    start: StartGateway, tenant: Tenant, other_tenant: Tenant
) -> None:
    gateway = await start(lease_seconds=LEASE, stale_if_unreachable_of={tenant.name: 0.8})
    begun = time.monotonic()
    await gateway.keys.ensure_seal_slot(tenant, 1)
    await gateway.keys.ensure_seal_slot(other_tenant, 1)
    lease = gateway.lease(tenant)
    gateway.kms.fault = Unreachable("away", 0.1)
    await until(lambda: gateway.lease(other_tenant) is None)
    await gateway.keys.ensure_seal_slot(tenant, 1)
    assert gateway.lease(tenant) == lease, "the very same lease"
    await until(lambda: gateway.lease(tenant) is None)
    assert LEASE + 0.8 <= time.monotonic() - begun < LEASE + 0.8 + 0.5


async def test_a_no_ends_a_lease_that_went_on_without_a_yes(start: StartGateway, tenant: Tenant) -> None:
    gateway = await start(lease_seconds=LEASE, stale_if_unreachable=60.0)
    await gateway.keys.ensure_seal_slot(tenant, 1)
    gateway.kms.fault = Unreachable("away", 0.1)
    await asyncio.sleep(1.2 * LEASE)
    assert gateway.slot(tenant) == "ready"
    gateway.kms.fault = Denied("no", Denial.DISABLED)
    await until(lambda: gateway.lease(tenant) is None, seconds=5)
    with pytest.raises(errors.PermissionDenied):
        await gateway.keys.ensure_seal_slot(tenant, 1)


async def test_a_lease_that_has_ended_is_not_revived_by_staleness(
    start: StartGateway, tenant: Tenant
) -> None:
    gateway = await start(lease_seconds=0.3, stale_if_unreachable=60.0)
    gateway.keys._upkeep.cancel()  # it was too busy to notice in time
    await gateway.keys.ensure_seal_slot(tenant, 1)
    custody = gateway.keys._custodies[tenant.tenant_id]
    gateway.kms.fault = Unreachable("away", 0.1)
    await asyncio.sleep(0.35)
    await gateway.keys._leases.renew([custody])
    assert gateway.lease(tenant) is None


async def test_a_kms_that_hangs_is_not_waited_for(start: StartGateway, tenant: Tenant) -> None:
    gateway = await start(kms_timeout_seconds=0.2)
    gateway.kms.answering.clear()
    begun = time.monotonic()
    with pytest.raises(errors.Unavailable):
        await gateway.keys.authorise(tenant)
    assert time.monotonic() - begun < 2
    gateway.kms.answering.set()
    await gateway.keys.authorise(tenant)


async def test_a_provider_that_breaks_its_contract_is_one_that_does_not_answer(
    start: StartGateway, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = await start()
    await gateway.keys.authorise(tenant)
    custody = gateway.keys._custodies[tenant.tenant_id]
    gateway.kms.breaks = True
    await gateway.keys._leases.renew([custody])
    assert custody.failing
    assert "a KMS provider failed" in caplog.text
    assert gateway.lease(tenant) is not None, "its failure says nothing about the tenant"
    gateway.kms.breaks = False
    await gateway.keys._leases.renew([custody])
    assert not custody.failing
