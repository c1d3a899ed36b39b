"""Data keys that open: fetched together, once, and refused where they do not exist."""

import asyncio
import os

import pytest

from intelgraph import errors
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import Tenant
from tests.keys.conftest import StartGateway
from tests.keys.gateway import dek_ids_of


async def test_many_keys_are_one_look_up(start: StartGateway, tenant: Tenant, database: Database) -> None:
    for _ in range(20):
        gateway = await start()
        await gateway.keys.ensure_seal_slot(tenant, 1)
    dek_ids = await dek_ids_of(database, tenant)
    assert len(dek_ids) == 20 * 32
    reader = await start()
    await asyncio.gather(*(reader.keys.load(tenant, dek_ids) for _ in range(10)))
    assert reader.keystore.missing_deks(tenant.tenant_id.bytes, dek_ids) == b""
    assert reader.kms.calls == [("unwrap", 1)]


async def test_a_key_that_does_not_exist_is_a_loss(start: StartGateway, tenant: Tenant) -> None:
    gateway = await start()
    dek_id = os.urandom(32)
    with pytest.raises(errors.DataLoss) as caught:
        await gateway.keys.load(tenant, dek_id)
    assert (caught.value.reason, caught.value.metadata) == ("DATA_KEY_LOST", {"dek_id": dek_id.hex()})


async def test_what_does_not_exist_is_not_looked_for_again_soon(
    start: StartGateway, tenant: Tenant, database: Database
) -> None:
    gateway = await start()
    await gateway.keys.ensure_seal_slot(tenant, 1)
    known, unknown = await dek_ids_of(database, tenant), os.urandom(32)
    assert await gateway.keys.look_up(tenant, known + unknown) == unknown
    await database.reader.close()
    assert await gateway.keys.look_up(tenant, unknown + known) == unknown, "remembered"


async def test_loading_needs_a_lease(start: StartGateway, tenant: Tenant, database: Database) -> None:
    writer = await start()
    await writer.keys.ensure_seal_slot(tenant, 1)
    dek_ids = await dek_ids_of(database, tenant)
    gateway = await start()
    await gateway.keys.load(tenant, dek_ids)
    gateway.keystore.revoke(tenant.tenant_id.bytes)
    await gateway.keys.load(tenant, dek_ids)
    assert gateway.kms.asked("unwrap") == 2, "the KMS was asked again"
