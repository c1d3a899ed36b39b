"""Leases: renewed on the KMS's word, never by use, and ended by its no."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import pytest

from intelgraph import errors
from intelgraph._core import Keystore, KeyUnavailable
from intelgraph.keys import leases
from intelgraph.keys.key_rows import TenantKeyRow
from intelgraph.keys.provider import Denial, Denied, NotFound, Unreachable
from intelgraph.provenance.ledger import Ledger
from intelgraph.storage.database import Database
from intelgraph.storage.settings import StorageSettings
from intelgraph.tenants.registry import Tenant, TenantRegistry
from tests.keys.conftest import StartGateway
from tests.keys.gateway import Gateway, dek_ids_of, delete_as_owner, keyring, until
from tests.keys.messages import Messages, opened
from tests.parts.ledger import TESTER

pytestmark = pytest.mark.usefixtures("quick_upkeep")

LEASE = 1.0


async def test_a_lease_in_use_is_renewed_by_the_kms_at_half_life(start: StartGateway, tenant: Tenant) -> None:
    gateway = await start(lease_seconds=2 * LEASE)
    await gateway.keys.ensure_seal_slot(tenant, 1)
    first = gateway.lease(tenant)
    begun = time.monotonic()
    while time.monotonic() < begun + 3.5 * LEASE:
        await gateway.keys.ensure_seal_slot(tenant, 1)
        assert gateway.lease(tenant) == first, "the lease goes on without a gap"
        await asyncio.sleep(0.01)
    # Once at first, and then every 0.45 to 0.55 of a lease and a tick.
    assert 3 <= gateway.kms.asked("unwrap") <= 4
    assert gateway.endings == []


async def test_using_a_lease_does_not_prolong_it(start: StartGateway, tenant: Tenant) -> None:
    gateway = await start(lease_seconds=LEASE)
    gateway.keys._upkeep.cancel()  # nobody renews
    await gateway.keys.ensure_seal_slot(tenant, 1)
    first, begun = gateway.lease(tenant), time.monotonic()
    while gateway.lease(tenant) == first:
        await gateway.keys.ensure_seal_slot(tenant, 1)
        assert time.monotonic() < begun + LEASE + 0.5
        await asyncio.sleep(0.01)


async def test_an_idle_tenant_is_let_go(start: StartGateway, tenant: Tenant) -> None:
    gateway = await start(lease_seconds=LEASE, idle_seconds=0.3)
    await gateway.keys.ensure_seal_slot(tenant, 1)
    await until(lambda: len(gateway.endings) > 0, 2 * LEASE)
    assert gateway.lease(tenant) is None
    assert gateway.kms.asked("unwrap") == 1, "nobody used it, so nobody asked"
    await until(lambda: not gateway.keys._custodies)
    await gateway.keys.ensure_seal_slot(tenant, 1)
    assert gateway.slot(tenant) == "ready"


async def test_a_key_that_its_owner_disables_stops_everything_within_the_lease(
    start: StartGateway, tenant: Tenant, other_tenant: Tenant, database: Database, key_directory: Path
) -> None:
    gateway = await start(lease_seconds=LEASE)
    await gateway.keys.ensure_seal_slot(tenant, 1)
    await gateway.keys.ensure_seal_slot(other_tenant, 1)
    dek_ids = await dek_ids_of(database, tenant)
    messages = Messages(tenant.tenant_id, b"one", b"two")
    sealed = messages.seal(messages.reserve(gateway.keystore))
    assert opened(gateway.keystore, tenant.tenant_id, *sealed) == [b"one", b"two"]
    under_way = messages.reserve(gateway.keystore)
    with keyring(key_directory).changing() as held:
        held.disable(tenant.tenant_id.bytes, 1)
    disabled_at = time.monotonic()
    await until(lambda: len(gateway.endings) > 0, 2 * LEASE)
    assert gateway.endings[0] - disabled_at < LEASE

    # Nothing seals, nothing opens, and asking again is refused.
    core_id = tenant.tenant_id.bytes
    assert gateway.slot(tenant) == "unleased"
    for refused in (
        lambda: messages.reserve(gateway.keystore),
        lambda: messages.seal(under_way),
        lambda: opened(gateway.keystore, tenant.tenant_id, *sealed),
        lambda: gateway.keystore.missing_deks(core_id, dek_ids),
        lambda: gateway.keystore.generate_dek(core_id),
        lambda: gateway.keystore.generate_index_key(core_id),
    ):
        with pytest.raises(KeyUnavailable):
            refused()
    for call in (
        gateway.keys.authorise(tenant),
        gateway.keys.ensure_seal_slot(tenant, 1),
        gateway.keys.load(tenant, dek_ids),
    ):
        with pytest.raises(errors.PermissionDenied) as caught:
            await call
        assert caught.value.reason == "KEY_DENIED"
        assert caught.value.metadata == {"denial": "disabled"}
    await gateway.keys.ensure_seal_slot(other_tenant, 1)
    assert gateway.slot(other_tenant) == "ready", "the other tenant goes on"


async def test_a_key_that_is_enabled_again_works_again(
    start: StartGateway, tenant: Tenant, key_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "DENIED_SECONDS", 0.2)
    gateway = await start(lease_seconds=LEASE)
    await gateway.keys.authorise(tenant)
    with keyring(key_directory).changing() as held:
        held.disable(tenant.tenant_id.bytes, 1)
    await until(lambda: gateway.lease(tenant) is None, 2 * LEASE)
    with keyring(key_directory).changing() as held:
        held.enable(tenant.tenant_id.bytes, 1)
    with pytest.raises(errors.PermissionDenied):
        await gateway.keys.authorise(tenant)
    await asyncio.sleep(0.25)
    await gateway.keys.ensure_seal_slot(tenant, 1)
    assert gateway.slot(tenant) == "ready"


async def test_a_denial_is_not_asked_for_again_at_once(start: StartGateway, tenant: Tenant) -> None:
    gateway = await start()
    await gateway.keys.authorise(tenant)
    gateway.kms.fault = Denied("no", Denial.PENDING_DELETION)
    await gateway.keys._leases.renew(list(gateway.keys._custodies.values()))
    assert gateway.lease(tenant) is None
    asked = len(gateway.kms.calls)
    for _ in range(20):
        with pytest.raises(errors.PermissionDenied):
            await gateway.keys.authorise(tenant)
    assert len(gateway.kms.calls) == asked


async def test_a_kek_that_is_gone_ends_the_lease_too(start: StartGateway, tenant: Tenant) -> None:
    gateway = await start(lease_seconds=LEASE)
    await gateway.keys.authorise(tenant)
    gateway.kms.fault = NotFound("no such key")
    await until(lambda: gateway.lease(tenant) is None, 2 * LEASE)
    with pytest.raises(errors.FailedPrecondition) as caught:
        await gateway.keys.authorise(tenant)
    assert caught.value.reason == "KEY_NOT_FOUND"


async def test_an_answer_from_before_a_denial_grants_nothing(start: StartGateway, tenant: Tenant) -> None:
    gateway = await start()
    await gateway.keys.authorise(tenant)
    gateway.kms.answering.clear()
    renewing = asyncio.create_task(gateway.keys._leases.renew(list(gateway.keys._custodies.values())))
    await until(lambda: gateway.kms.asked("unwrap") == 2)
    gateway.keystore.revoke(tenant.tenant_id.bytes)
    gateway.kms.answering.set()
    await renewing
    assert gateway.lease(tenant) is None


async def test_an_older_kek_version_that_is_disabled_takes_what_it_wrapped_with_it(
    start: StartGateway, tenant: Tenant, database: Database, key_directory: Path
) -> None:
    """The newest version goes on saying yes: it must not keep alive what the older one opened."""
    dek_ids = await _sealed_and_rotated(await start(), tenant, database, key_directory)
    gateway = await start(lease_seconds=LEASE)
    await gateway.keys.load(tenant, dek_ids)
    assert {row.wrapped.kek_version for row in _rows(gateway, tenant)} == {"1", "2"}
    with keyring(key_directory).changing() as held:
        held.disable(tenant.tenant_id.bytes, 1)
    await until(lambda: len(gateway.endings) > 0, 2 * LEASE)
    with pytest.raises(errors.PermissionDenied):
        await gateway.keys.load(tenant, dek_ids)


async def test_a_no_counts_however_many_do_not_answer(
    start: StartGateway, tenant: Tenant, database: Database, key_directory: Path
) -> None:
    dek_ids = await _sealed_and_rotated(await start(), tenant, database, key_directory)
    gateway = await start()
    await gateway.keys.load(tenant, dek_ids)
    newest, oldest = sorted(_rows(gateway, tenant), key=lambda row: -(row.created_us or 0))
    faults = {newest.key_id: Unreachable("away", 0.1), oldest.key_id: Denied("no", Denial.DISABLED)}
    gateway.kms.fault_of = lambda context: faults.get(context.key_id)
    await gateway.keys._leases.renew([gateway.keys._custodies[tenant.tenant_id]])
    assert gateway.lease(tenant) is None


async def test_an_older_version_that_is_not_held_is_denied_by_itself(
    start: StartGateway,
    tenant: Tenant,
    database: Database,
    key_directory: Path,
    storage_settings: StorageSettings,
) -> None:
    dek_ids = await _sealed_and_rotated(await start(), tenant, database, key_directory)
    # The next one is wrapped by the newest tenant key.
    await delete_as_owner(storage_settings, tenant, "index_key")
    gateway = await start()
    await gateway.keys.authorise(tenant)
    first = gateway.lease(tenant)
    with keyring(key_directory).changing() as held:
        held.disable(tenant.tenant_id.bytes, 1)
    for _ in range(3):
        with pytest.raises(errors.PermissionDenied):
            await gateway.keys.load(tenant, dek_ids)
    assert gateway.lease(tenant) == first
    # At first, for the old key, and once more to see whether the newest is denied as well.
    assert gateway.kms.asked("unwrap") == 3
    await gateway.keys.ensure_seal_slot(tenant, 1)
    assert gateway.slot(tenant) == "ready"


async def test_a_tenant_key_is_replaced_when_it_is_too_old(
    start: StartGateway, tenant: Tenant, database: Database
) -> None:
    await (await start()).keys.authorise(tenant)
    await _age_tenant_keys(database)
    fresh, another = await start(lease_seconds=LEASE), await start(lease_seconds=LEASE)
    await fresh.keys.authorise(tenant)
    await another.keys.authorise(tenant)

    def both_have_two() -> bool:
        return len(_rows(fresh, tenant)) == 2 and len(_rows(another, tenant)) == 2

    for _ in range(200):
        await asyncio.gather(fresh.keys.authorise(tenant), another.keys.authorise(tenant))
        if both_have_two():
            break
        await asyncio.sleep(0.02)
    assert both_have_two(), "both took the new one into use"
    async with database.read(tenant.tenant_id) as connection:
        rows = await connection.fetch("SELECT key_id FROM tenant_key ORDER BY created_at DESC")
    assert len(rows) == 2, "one of the two made it"
    await fresh.keys.ensure_seal_slot(tenant, 1)
    async with database.read(tenant.tenant_id) as connection:
        assert await connection.fetchval("SELECT tenant_key_id FROM data_key") == rows[0]["key_id"]


async def test_a_kms_that_no_longer_wraps_costs_nobody_the_lease(
    start: StartGateway, tenant: Tenant, database: Database
) -> None:
    """Its policy may allow decrypting and forbid encrypting: the old tenant key goes on."""
    await (await start()).keys.authorise(tenant)
    await _age_tenant_keys(database)
    gateway = await start()
    await gateway.keys.authorise(tenant)
    lease = gateway.lease(tenant)
    no = Denied("no", Denial.DENIED)
    gateway.kms.wrap = lambda requests: _answer([no] * len(requests))  # type: ignore[method-assign] # a policy
    await gateway.keys._leases.replace_tenant_key_if_due(gateway.keys._custodies[tenant.tenant_id])
    assert gateway.lease(tenant) == lease
    await gateway.keys.ensure_seal_slot(tenant, 1)


async def test_renewal_needs_no_database(start: StartGateway, tenant: Tenant, database: Database) -> None:
    gateway = await start()
    await gateway.keys.authorise(tenant)
    await database.writer.close()
    asked = gateway.kms.asked("unwrap")
    custody = gateway.keys._custodies[tenant.tenant_id]
    await gateway.keys._leases.renew([custody])
    assert gateway.kms.asked("unwrap") == asked + 1
    assert not custody.failing
    assert custody.authorised_at > Keystore.tick() - 1_000_000


async def test_a_lease_that_ends_while_the_database_is_away_is_no_denial(
    start: StartGateway, tenant: Tenant, database: Database
) -> None:
    gateway = await start()
    await gateway.keys.authorise(tenant)
    custody = gateway.keys._custodies[tenant.tenant_id]
    custody.end()
    await database.writer.close()
    await gateway.keys._leases.renew([custody])
    assert custody.refused is None


async def test_a_tenant_whose_rows_are_gone_is_let_go(
    start: StartGateway, tenant: Tenant, storage_settings: StorageSettings
) -> None:
    gateway = await start(lease_seconds=LEASE)
    await gateway.keys.authorise(tenant)
    await delete_as_owner(storage_settings, tenant, "index_key", "tenant_key")
    await until(lambda: gateway.lease(tenant) is None, 2 * LEASE)
    with pytest.raises(errors.FailedPrecondition):
        await gateway.keys.authorise(tenant)


async def test_all_tenants_renewals_are_one_call(
    start: StartGateway, database: Database, ledger: Ledger
) -> None:
    registry = TenantRegistry(database, ledger)
    tenants = [await registry.create(f"t{number}", by=TESTER) for number in range(10)]
    gateway = await start()
    await asyncio.gather(*(gateway.keys.authorise(each) for each in tenants))
    gateway.kms.calls.clear()
    await gateway.keys._leases.renew(list(gateway.keys._custodies.values()))
    assert gateway.kms.calls == [("unwrap", 10)]


async def test_one_tenants_denial_does_not_fail_the_others_renewal(
    start: StartGateway, tenant: Tenant, other_tenant: Tenant
) -> None:
    gateway = await start()
    for each in (tenant, other_tenant):
        await gateway.keys.authorise(each)
    gateway.kms.fault_of = lambda context: (
        Denied("no", Denial.DENIED) if context.tenant_id == tenant.tenant_id else None
    )
    before = gateway.keys._custodies[other_tenant.tenant_id].authorised_at
    await gateway.keys._leases.renew(list(gateway.keys._custodies.values()))
    assert gateway.lease(tenant) is None
    assert gateway.lease(other_tenant) is not None
    assert gateway.keys._custodies[other_tenant.tenant_id].authorised_at > before


def _rows(gateway: Gateway, tenant: Tenant) -> list[TenantKeyRow]:
    """The tenant keys that the gateway holds."""
    custody = gateway.keys._custodies.get(tenant.tenant_id)
    return [] if custody is None else [*custody.tenant_keys.values()]


async def _sealed_and_rotated(
    gateway: Gateway, tenant: Tenant, database: Database, key_directory: Path
) -> bytes:
    """Ids of a data key under KEK version 1, of a tenant whose newest tenant key is under version 2."""
    await gateway.keys.ensure_seal_slot(tenant, 1)
    dek_ids = await dek_ids_of(database, tenant)
    with keyring(key_directory).changing() as held:
        held.create_kek(tenant.tenant_id.bytes, 0)
    await _age_tenant_keys(database)
    assert await gateway.keys._leases._make_tenant_key(gateway.keys._custodies[tenant.tenant_id])
    return dek_ids


async def _answer(answers: list[Denied]) -> list[Denied]:
    return answers


async def _age_tenant_keys(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(
            "UPDATE tenant_key SET created_at = created_at - $1::interval", timedelta(days=31)
        )
