"""Data keys that seal: replaced ahead of need without a pause, never used before their rows are stored."""

import asyncio
import time

import asyncpg
import pytest
from prometheus_client import REGISTRY

from intelgraph import errors
from intelgraph.storage.database import Database
from intelgraph.storage.settings import StorageSettings
from intelgraph.tenants.registry import Tenant
from tests.keys.conftest import StartGateway
from tests.keys.gateway import dek_ids_of, until
from tests.keys.messages import Messages, opened


async def test_a_key_that_is_nearly_old_is_replaced_behind_the_batches(
    start: StartGateway, tenant: Tenant, database: Database
) -> None:
    gateway = await start(dek_seconds=0.5)
    await gateway.keys.ensure_seal_slot(tenant, 1)
    begun = time.monotonic()
    longest = 0.0
    while time.monotonic() < begun + 1.6:
        asked_at = time.perf_counter()
        await gateway.keys.ensure_seal_slot(tenant, 1)
        longest = max(longest, time.perf_counter() - asked_at)
        assert gateway.slot(tenant) in {"ready", "due"}, "there is always one that seals"
        await asyncio.sleep(0.002)
    # Replaced at 70 to 90 % of its age: after 0.35 to 0.45 s, and again, and again.
    assert 4 <= len(await dek_ids_of(database, tenant)) / 32 <= 6
    assert longest < 0.05


async def test_no_batch_waits_for_the_database_while_a_key_is_replaced(
    start: StartGateway, tenant: Tenant, database: Database
) -> None:
    gateway = await start(dek_seconds=2.0)
    await gateway.keys.ensure_seal_slot(tenant, 1)
    async with database.write() as connection:
        await connection.execute("LOCK TABLE data_key IN EXCLUSIVE MODE")
        await until(lambda: gateway.slot(tenant) == "due", seconds=5)
        for _ in range(10):
            async with asyncio.timeout(0.2):
                await gateway.keys.ensure_seal_slot(tenant, 1)
            await asyncio.sleep(0.005)
    await until(lambda: gateway.slot(tenant) == "ready")
    assert len(await dek_ids_of(database, tenant)) == 2 * 32


async def test_asking_uses_up_nothing(start: StartGateway, tenant: Tenant, database: Database) -> None:
    gateway = await start(dek_messages=100)
    for _ in range(5):
        await gateway.keys.ensure_seal_slot(tenant, 100)
    assert len(await dek_ids_of(database, tenant)) == 32
    assert gateway.slot(tenant, 100) == "ready"
    assert gateway.slot(tenant, 101) == "spent"


async def test_a_budget_that_is_used_up_gets_a_new_key(
    start: StartGateway, tenant: Tenant, database: Database
) -> None:
    gateway = await start(dek_messages=100)
    sealed, used = [], []
    for _ in range(5):
        messages = Messages(tenant.tenant_id, *[b"x"] * 60)
        await gateway.keys.ensure_seal_slot(tenant, 60)
        reservation = messages.reserve(gateway.keystore)
        used.append(reservation.dek_id)
        sealed += messages.seal(reservation)
    assert len({*used}) == 5, "sixty and sixty do not fit into a hundred"
    stored = await dek_ids_of(database, tenant)
    assert {*used} <= {stored[at : at + 32] for at in range(0, len(stored), 32)}
    assert opened(gateway.keystore, tenant.tenant_id, *sealed) == [b"x"] * 300


async def test_a_budget_that_is_nearly_used_up_is_replaced_behind_the_batches(
    start: StartGateway, tenant: Tenant, database: Database
) -> None:
    gateway = await start(dek_messages=1000)
    await gateway.keys.ensure_seal_slot(tenant, 10)
    fetched = _fetched()
    for _ in range(400):
        messages = Messages(tenant.tenant_id, *[b"x"] * 10)
        await gateway.keys.ensure_seal_slot(tenant, 10)
        messages.seal(messages.reserve(gateway.keystore))
        await asyncio.sleep(0.001)
    assert 4 <= len(await dek_ids_of(database, tenant)) / 32 <= 7
    assert _fetched() == fetched, "no batch waited for a key"


async def test_a_batch_that_no_key_could_seal_is_refused(
    start: StartGateway, tenant: Tenant, database: Database
) -> None:
    gateway = await start(dek_messages=100)
    with pytest.raises(errors.Unavailable) as caught:
        await gateway.keys.ensure_seal_slot(tenant, 101)
    assert caught.value.reason == "KEY_UNAVAILABLE"
    assert len(await dek_ids_of(database, tenant)) <= 3 * 32, "it does not make keys without end"


async def test_a_key_whose_row_is_not_stored_does_not_seal(
    start: StartGateway, tenant: Tenant, database: Database
) -> None:
    gateway = await start()
    await gateway.keys.authorise(tenant)
    async with database.write() as connection:
        await connection.execute("LOCK TABLE data_key IN EXCLUSIVE MODE")
        waiting = asyncio.create_task(gateway.keys.ensure_seal_slot(tenant, 1))
        await asyncio.sleep(0.2)
        assert gateway.slot(tenant) == "spent"
        assert not waiting.done()
    await waiting
    assert gateway.slot(tenant) == "ready"


async def test_a_database_that_is_away_is_named_as_what_it_is(
    start: StartGateway, tenant: Tenant, database: Database
) -> None:
    gateway = await start()
    await gateway.keys.authorise(tenant)
    await database.writer.close()
    with pytest.raises(errors.Unavailable) as caught:
        await gateway.keys.ensure_seal_slot(tenant, 1)
    assert caught.value.reason == "STORAGE_UNAVAILABLE"
    assert gateway.slot(tenant) == "spent"


async def test_a_replacement_that_fails_is_not_tried_at_every_batch(
    start: StartGateway,
    tenant: Tenant,
    storage_settings: StorageSettings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gateway = await start(dek_seconds=4.0)
    await gateway.keys.ensure_seal_slot(tenant, 1)
    assert storage_settings.owner_dsn is not None
    owner = await asyncpg.connect(storage_settings.owner_dsn.get_secret_value())
    await owner.execute("REVOKE INSERT ON data_key FROM intelgraph_writer")
    await owner.close()
    await until(lambda: gateway.slot(tenant) == "due", seconds=5)
    for _ in range(20):
        await gateway.keys.ensure_seal_slot(tenant, 1)
        await asyncio.sleep(0.01)
    assert caplog.text.count("data key not replaced ahead of need") == 1


async def test_a_key_made_under_an_earlier_lease_is_not_used(
    start: StartGateway, tenant: Tenant, database: Database
) -> None:
    gateway = await start()
    await gateway.keys.authorise(tenant)
    async with database.write() as connection:
        await connection.execute("LOCK TABLE data_key IN EXCLUSIVE MODE")
        waiting = asyncio.create_task(gateway.keys.ensure_seal_slot(tenant, 1))
        await asyncio.sleep(0.1)
        gateway.keystore.revoke(tenant.tenant_id.bytes)
    with pytest.raises(errors.Unavailable):
        await waiting
    assert gateway.slot(tenant) == "unleased"


def _fetched() -> float:
    """How many batches had to wait for a data key in this process."""
    labels = {"purpose": "seal", "met": "fetched"}
    return REGISTRY.get_sample_value("intelgraph_key_requests_total", labels) or 0.0
