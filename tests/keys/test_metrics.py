"""What operators see of keys."""

import pytest
from prometheus_client import REGISTRY

from intelgraph import errors
from intelgraph.keys.provider import Denial, Denied
from intelgraph.tenants.registry import Tenant
from tests.keys.conftest import StartGateway
from tests.keys.gateway import until


@pytest.mark.usefixtures("quick_upkeep")
async def test_leases_and_denials_are_counted(start: StartGateway, tenant: Tenant) -> None:
    gateway = await start(dek_messages=100)
    denials = _value("intelgraph_key_denials_total", provider="local", denial="disabled")
    await gateway.keys.ensure_seal_slot(tenant, 25)
    await gateway.keys.ensure_seal_slot(tenant, 25)
    # The tenant was created under keys of another service, whose last figures may still stand.
    await until(lambda: _value("intelgraph_dek_budget_left_ratio") < 0.76)
    assert _value("intelgraph_key_leases") == 1
    assert 290 < _value("intelgraph_key_lease_remaining_seconds") <= 300
    assert _value("intelgraph_dek_budget_left_ratio") == pytest.approx(0.75)
    gateway.kms.fault = Denied("no", Denial.DISABLED)
    await gateway.keys._leases.renew([*gateway.keys._custodies.values()])
    assert _value("intelgraph_key_denials_total", provider="local", denial="disabled") == denials + 1
    await until(lambda: _value("intelgraph_key_leases") == 0)
    assert _value("intelgraph_dek_budget_left_ratio") == 1
    with pytest.raises(errors.PermissionDenied):
        await gateway.keys.authorise(tenant)


async def test_the_share_of_requests_that_needed_nothing_is_counted(
    start: StartGateway, tenant: Tenant
) -> None:
    gateway = await start()

    def met(how: str) -> list[float]:
        return [
            _value("intelgraph_key_requests_total", purpose=purpose, met=how)
            for purpose in ("lease", "seal", "open")
        ]

    held, fetched = met("held"), met("fetched")
    for _ in range(10):
        await gateway.keys.authorise(tenant)
        await gateway.keys.ensure_seal_slot(tenant, 1)
        await gateway.keys.load(tenant, b"")
    # The slot that was filled asked for the lease as well.
    assert [now - before for now, before in zip(met("held"), held, strict=True)] == [10, 9, 10]
    assert [now - before for now, before in zip(met("fetched"), fetched, strict=True)] == [1, 1, 0]


def _value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0
