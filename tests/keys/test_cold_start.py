"""A tenant's first keys, and the same keys again after a restart or from another gateway."""

import asyncio
from pathlib import Path

import pytest

from intelgraph import errors
from intelgraph.keys.local import LocalProvider
from intelgraph.keys.provider import Denial, Denied, Unreachable
from intelgraph.keys.settings import LocalKeyringSettings
from intelgraph.storage.database import Database
from intelgraph.storage.settings import StorageSettings
from intelgraph.tenants.registry import Tenant
from tests.keys.conftest import StartGateway
from tests.keys.gateway import dek_ids_of, delete_as_owner, keyring, until


async def test_first_use_makes_one_key_of_each_kind(
    start: StartGateway, tenant: Tenant, database: Database, key_directory: Path
) -> None:
    gateway = await start()
    await gateway.keys.authorise(tenant)
    await gateway.keys.ensure_seal_slot(tenant, 512)
    assert gateway.slot(tenant) == "ready"
    assert await _counts(database, tenant) == {"tenant_key": 1, "index_key": 1, "data_key": 1}
    with keyring(key_directory).reading() as held:
        assert [(each.number, each.state) for each in held.versions(tenant.tenant_id.bytes)] == [
            (1, "enabled")
        ]
    # The row says by what it was wrapped, and when, in database time.
    async with database.read(tenant.tenant_id) as connection:
        row = await connection.fetchrow("SELECT *, now() - created_at AS age FROM tenant_key")
    assert row is not None
    assert (row["provider"], row["kek_version"], row["state"]) == ("local", "1", "active")
    assert row["kek_id"] == f"local:{tenant.tenant_id}"
    assert 0 <= row["age"].total_seconds() < 60


async def test_what_is_there_is_not_fetched_again(start: StartGateway, tenant: Tenant) -> None:
    gateway = await start()
    await gateway.keys.ensure_seal_slot(tenant, 1)
    before = list(gateway.kms.calls)
    loop_turns = 0

    async def count() -> None:
        nonlocal loop_turns
        while True:
            loop_turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await asyncio.sleep(0)
    turns = loop_turns
    for _ in range(100):
        await gateway.keys.authorise(tenant)
        await gateway.keys.ensure_seal_slot(tenant, 1)
        await gateway.keys.load(tenant, b"")
    assert loop_turns == turns, "nothing was awaited"
    assert gateway.kms.calls == before
    counting.cancel()


async def test_all_who_come_at_once_share_one_start(
    start: StartGateway, tenant: Tenant, database: Database
) -> None:
    gateway = await start()
    await asyncio.gather(*(gateway.keys.ensure_seal_slot(tenant, 1) for _ in range(50)))
    assert gateway.kms.calls == [("provision", 1), ("wrap", 1), ("unwrap", 1)]
    assert await _counts(database, tenant) == {"tenant_key": 1, "index_key": 1, "data_key": 1}


async def test_gateways_that_meet_a_tenant_at_once_agree(
    start: StartGateway, tenant: Tenant, database: Database
) -> None:
    gateways = [await start() for _ in range(4)]
    await asyncio.gather(*(each.keys.authorise(tenant) for each in gateways))
    assert await _counts(database, tenant) == {"tenant_key": 1, "index_key": 1, "data_key": 0}
    # Each seals under a data key of its own, and opens what the others sealed.
    await asyncio.gather(*(each.keys.ensure_seal_slot(tenant, 1) for each in gateways))
    dek_ids = await dek_ids_of(database, tenant)
    assert len(dek_ids) == 4 * 32
    for each in gateways:
        await each.keys.load(tenant, dek_ids)
        assert each.keystore.missing_deks(tenant.tenant_id.bytes, dek_ids) == b""


async def test_a_race_for_the_first_rows_has_one_winner(
    start: StartGateway, tenant: Tenant, database: Database
) -> None:
    """Both gateways have read that there is nothing before either writes."""
    gateways = [await start() for _ in range(2)]
    for each in gateways:
        each.kms.answering.clear()
    starting = [asyncio.create_task(each.keys.authorise(tenant)) for each in gateways]
    await until(lambda: all(each.kms.calls for each in gateways))
    for each in gateways:
        each.kms.answering.set()
    await asyncio.gather(*starting)
    assert [each.kms.asked("wrap") for each in gateways] == [1, 1], "both made a key"
    assert await _counts(database, tenant) == {"tenant_key": 1, "index_key": 1, "data_key": 0}


async def test_a_restart_loads_the_same_keys(start: StartGateway, tenant: Tenant, database: Database) -> None:
    first = await start()
    await first.keys.ensure_seal_slot(tenant, 1)
    dek_ids = await dek_ids_of(database, tenant)
    await first.keys.close()

    second = await start()
    await second.keys.load(tenant, dek_ids)
    assert second.keystore.missing_deks(tenant.tenant_id.bytes, dek_ids) == b""
    assert second.kms.calls == [("unwrap", 1)], "one KMS call opens whatever the tenant key covers"
    assert await _counts(database, tenant) == {"tenant_key": 1, "index_key": 1, "data_key": 1}


async def test_tenants_do_not_open_each_others_keys(
    start: StartGateway, tenant: Tenant, other_tenant: Tenant, database: Database
) -> None:
    gateway = await start()
    await gateway.keys.ensure_seal_slot(tenant, 1)
    await gateway.keys.authorise(other_tenant)
    with pytest.raises(errors.DataLoss) as caught:
        await gateway.keys.load(other_tenant, await dek_ids_of(database, tenant))
    assert caught.value.reason == "DATA_KEY_LOST"


@pytest.mark.parametrize("table", ["tenant_key", "index_key", "data_key"])
async def test_a_row_that_holds_another_tenants_key_is_refused(
    start: StartGateway, tenant: Tenant, other_tenant: Tenant, database: Database, table: str
) -> None:
    gateway = await start()
    for each in (tenant, other_tenant):
        await gateway.keys.ensure_seal_slot(each, 1)
    async with database.write() as connection:
        await connection.execute(
            f"UPDATE {table} AS mine SET wrapped = theirs.wrapped FROM {table} AS theirs"  # noqa: S608 (own list)
            " WHERE mine.tenant_id = $1 AND theirs.tenant_id = $2",
            tenant.tenant_id,
            other_tenant.tenant_id,
        )
    fresh = await start()
    with pytest.raises(errors.DataLoss) as caught:
        await fresh.keys.load(tenant, await dek_ids_of(database, tenant))
    assert caught.value.reason == "KEY_ROW_CORRUPT"
    await fresh.keys.authorise(other_tenant)


@pytest.mark.parametrize("table", ["tenant_key", "index_key"])
async def test_a_lost_key_is_not_replaced_by_a_new_one(
    start: StartGateway, tenant: Tenant, database: Database, storage_settings: StorageSettings, table: str
) -> None:
    gateway = await start()
    await gateway.keys.authorise(tenant)
    async with database.write() as connection:
        await connection.execute("UPDATE tenant_clock SET seq = 1 WHERE tenant_id = $1", tenant.tenant_id)
    await delete_as_owner(storage_settings, tenant, *dict.fromkeys(["index_key", table]))
    before = await _counts(database, tenant)
    fresh = await start()
    with pytest.raises(errors.DataLoss) as caught:
        await fresh.keys.authorise(tenant)
    assert (caught.value.reason, caught.value.metadata) == ("KEY_ROWS_LOST", {"table": table})
    assert await _counts(database, tenant) == before


async def test_a_keyring_that_is_not_the_tenants_ends_nothing_and_makes_nothing(
    start: StartGateway, tenant: Tenant, key_directory: Path
) -> None:
    """As when that of another gateway was put in its place."""
    await (await start()).keys.authorise(tenant)
    right = key_directory / "keyring.sealed"
    kept = right.rename(key_directory / "kept")
    await LocalProvider.open(LocalKeyringSettings(), key_directory)
    gateway = await start()
    with pytest.raises(errors.FailedPrecondition) as caught:
        await gateway.keys.authorise(tenant)
    assert caught.value.reason == "KEY_NOT_FOUND"
    with keyring(key_directory).reading() as held:
        assert held.versions(tenant.tenant_id.bytes) == []
    kept.rename(right)
    await (await start()).keys.authorise(tenant)


async def test_a_kms_that_fails_the_first_use_leaves_nothing_half_done(
    start: StartGateway, tenant: Tenant, database: Database
) -> None:
    gateway = await start()
    gateway.kms.fault = Denied("not yet", Denial.DENIED)
    with pytest.raises(errors.PermissionDenied):
        await gateway.keys.authorise(tenant)
    assert await _counts(database, tenant) == {"tenant_key": 0, "index_key": 0, "data_key": 0}

    fresh = await start()
    fresh.kms.fault = Unreachable("away", 0.1)
    with pytest.raises(errors.Unavailable) as caught:
        await fresh.keys.authorise(tenant)
    assert (caught.value.reason, caught.value.retry_after) == ("KEY_UNAVAILABLE", 1.0)
    fresh.kms.fault = None
    await fresh.keys.authorise(tenant)
    assert await _counts(database, tenant) == {"tenant_key": 1, "index_key": 1, "data_key": 0}


async def test_a_caller_that_gives_up_does_not_spoil_it_for_the_others(
    start: StartGateway, tenant: Tenant
) -> None:
    gateway = await start()
    gateway.kms.answering.clear()
    hasty = asyncio.create_task(gateway.keys.authorise(tenant))
    patient = asyncio.create_task(gateway.keys.authorise(tenant))
    await asyncio.sleep(0.05)
    hasty.cancel()
    await asyncio.gather(hasty, return_exceptions=True)
    gateway.kms.answering.set()
    await patient
    assert gateway.lease(tenant) is not None


async def _counts(database: Database, tenant: Tenant) -> dict[str, int]:
    async with database.read(tenant.tenant_id) as connection:
        return {
            table: await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 (own list)
            for table in ("tenant_key", "index_key", "data_key")
        }


async def test_a_lost_keyring_is_not_made_anew_over_what_it_wrapped(
    start: StartGateway, tenant: Tenant, key_directory: Path
) -> None:
    gateway = await start()
    await gateway.keys.authorise(tenant)

    (key_directory / "keyring.sealed").rename(key_directory / "kept")
    with pytest.raises(errors.FailedPrecondition, match=str(key_directory / "keyring.sealed")) as caught:
        await start()
    assert caught.value.reason == "KEYRING_MISSING"
    assert not (key_directory / "keyring.sealed").exists()

    (key_directory / "kept").replace(key_directory / "keyring.sealed")
    await (await start()).keys.authorise(tenant)
