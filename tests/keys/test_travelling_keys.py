"""Wrapped keys that travel in envelopes, and open them where no table knows them."""

from pathlib import Path
from uuid import UUID

import pytest

from intelgraph import errors
from intelgraph.keys import travelling_keys
from intelgraph.keys.provider import Unreachable
from intelgraph.storage.database import Database
from intelgraph.storage.settings import StorageSettings
from intelgraph.tenants.registry import Tenant
from tests.keys.conftest import StartGateway
from tests.keys.gateway import Gateway, dek_ids_of, delete_as_owner, keyring, until


async def test_the_keys_of_what_seals_are_at_hand(
    start: StartGateway, tenant: Tenant, database: Database
) -> None:
    gateway = await start()
    await gateway.keys.ensure_seal_slot(tenant, 1)
    dek_id = await dek_ids_of(database, tenant)
    carried = await gateway.keys.keys_to_travel(tenant, dek_id)
    async with database.read(tenant.tenant_id) as connection:
        assert carried.dek == await connection.fetchval("SELECT wrapped FROM data_key")
        assert carried.tenant_key == await connection.fetchval("SELECT wrapped FROM tenant_key")


async def test_a_key_that_was_just_replaced_is_looked_up(
    start: StartGateway, tenant: Tenant, database: Database
) -> None:
    gateway = await start()
    await gateway.keys.ensure_seal_slot(tenant, 1)
    first = await dek_ids_of(database, tenant)
    carried = await gateway.keys.keys_to_travel(tenant, first)
    await gateway.keys._seal_slots.fill(gateway.keys._custodies[tenant.tenant_id])
    assert await gateway.keys.keys_to_travel(tenant, first) == carried
    with pytest.raises(errors.DataLoss):
        await gateway.keys.keys_to_travel(tenant, bytes(32))


async def test_a_foreign_tenant_key_is_unwrapped_by_the_kms_and_wraps_nothing(
    start: StartGateway, tenant: Tenant, database: Database, storage_settings: StorageSettings
) -> None:
    key_id, wrapped = await _travelled(await start(), tenant, database, storage_settings)
    gateway = await start()
    await gateway.keys.load_travelled(tenant, [(key_id, wrapped)])
    core_id = tenant.tenant_id.bytes
    assert gateway.keystore.missing_tenant_keys(core_id, key_id) == b""
    assert gateway.keystore.generate_dek(core_id).row.tenant_key_id != key_id
    gateway.kms.calls.clear()
    await gateway.keys.load_travelled(tenant, [(key_id, wrapped)])
    assert gateway.kms.calls == [], "it is held"


async def test_one_of_the_tenants_own_is_taken_from_its_row(
    start: StartGateway, tenant: Tenant, database: Database
) -> None:
    """Whatever the envelope carries under its name."""
    old = await start()
    await old.keys.authorise(tenant)
    async with database.read(tenant.tenant_id) as connection:
        key_id = await connection.fetchval("SELECT key_id FROM tenant_key")
    gateway = await start()
    await gateway.keys.authorise(tenant)
    custody = gateway.keys._custodies[tenant.tenant_id]
    gateway.keystore.revoke(tenant.tenant_id.bytes)
    custody.end()
    await gateway.keys.load_travelled(tenant, [(key_id.bytes, b"forged")])
    assert gateway.keystore.missing_tenant_keys(tenant.tenant_id.bytes, key_id.bytes) == b""
    assert custody.travelled_keys == {}


async def test_a_forged_one_is_left_out_and_ends_nothing(
    start: StartGateway, tenant: Tenant, database: Database, storage_settings: StorageSettings
) -> None:
    key_id, wrapped = await _travelled(await start(), tenant, database, storage_settings)
    gateway = await start()
    await gateway.keys.authorise(tenant)
    first = gateway.lease(tenant)
    forged = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
    other_version = wrapped[:4] + bytes([9]) + wrapped[5:]
    for carried in (b"", b"rubbish", forged, other_version):
        await gateway.keys.load_travelled(tenant, [(key_id, carried)])
        assert gateway.keystore.missing_tenant_keys(tenant.tenant_id.bytes, key_id) == key_id
    assert gateway.lease(tenant) == first
    await gateway.keys.load_travelled(tenant, [(bytes(16), forged), (key_id, wrapped)])
    assert gateway.keystore.missing_tenant_keys(tenant.tenant_id.bytes, key_id) == b""


async def test_a_kms_that_is_away_is_not_taken_for_a_no(
    start: StartGateway, tenant: Tenant, database: Database, storage_settings: StorageSettings
) -> None:
    key_id, wrapped = await _travelled(await start(), tenant, database, storage_settings)
    gateway = await start()
    await gateway.keys.authorise(tenant)
    gateway.kms.fault = Unreachable("away", 0.1)
    with pytest.raises(errors.Unavailable):
        await gateway.keys.load_travelled(tenant, [(key_id, wrapped)])


@pytest.mark.usefixtures("quick_upkeep")
async def test_what_travelled_hangs_on_the_kms_word_like_all_else(
    start: StartGateway,
    tenant: Tenant,
    database: Database,
    storage_settings: StorageSettings,
    key_directory: Path,
) -> None:
    key_id, wrapped = await _travelled(await start(), tenant, database, storage_settings)
    with keyring(key_directory).changing() as held:
        held.create_kek(tenant.tenant_id.bytes, 0)
    gateway = await start(lease_seconds=1.0)  # its own tenant key is wrapped by version 2
    await gateway.keys.load_travelled(tenant, [(key_id, wrapped)])
    with keyring(key_directory).changing() as held:
        held.disable(tenant.tenant_id.bytes, 1)
    await until(lambda: len(gateway.endings) > 0, seconds=2)
    await gateway.keys.authorise(tenant)  # the newest version still says yes
    assert gateway.keystore.missing_tenant_keys(tenant.tenant_id.bytes, key_id) == key_id


async def test_only_so_many_are_held(
    start: StartGateway, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(travelling_keys, "MAX_TRAVELLED", 2)
    gateway = await start()
    with pytest.raises(errors.ResourceExhausted) as caught:
        await gateway.keys.load_travelled(tenant, [(bytes([n] * 16), b"") for n in range(3)])
    assert caught.value.reason == "TRAVELLING_KEYS_TOO_MANY"


async def _travelled(
    gateway: Gateway, tenant: Tenant, database: Database, settings: StorageSettings
) -> tuple[bytes, bytes]:
    """A tenant key (id, wrapped) as an envelope carries it that was sealed elsewhere under the tenant's KEK:
    it has no row here.
    """
    await gateway.keys.authorise(tenant)
    async with database.read(tenant.tenant_id) as connection:
        row = await connection.fetchrow("SELECT key_id, wrapped FROM tenant_key")
    assert row is not None
    await gateway.keys.close()
    await delete_as_owner(settings, tenant, "index_key", "tenant_key")
    key_id: UUID = row["key_id"]
    return key_id.bytes, row["wrapped"]
