"""One damaged key row is named, and keeps a check of a log from nothing but what that key sealed."""

from pathlib import Path

import pytest

from intelgraph.errors import DataLoss
from intelgraph.keys.checking import CheckingUnsealer
from intelgraph.storage.database import Database
from intelgraph.storage.settings import StorageSettings
from intelgraph.temporal.verify import LogVerifier
from tests.retention.runs import owner
from tests.temporal.world import running, upsert


async def test_what_other_keys_sealed_is_checked(
    database: Database, storage_settings: StorageSettings, tmp_path: Path
) -> None:
    async with running(database, tmp_path / "keys") as world:
        tenant = await world.tenant()
        await world.ingest(tenant, upsert({"id": "a", "at": 1}))
    async with running(database, tmp_path / "keys") as world:  # seals with a data key of its own
        await world.ingest(tenant, upsert({"id": "a", "at": 2}))
    async with owner(storage_settings, tenant) as connection:
        key_id = await connection.fetchval(
            "UPDATE data_key SET wrapped = set_byte(wrapped, 50, get_byte(wrapped, 50) # 1)"
            " WHERE tenant_id = $1 AND created_at = (SELECT min(created_at) FROM data_key WHERE tenant_id = $1)"
            " RETURNING encode(dek_id, 'hex')",
            tenant.tenant_id,
        )
    async with running(database, tmp_path / "keys") as world:
        with pytest.raises(DataLoss, match="KEY_ROW_CORRUPT"):
            await world.verifier.verify(tenant)
        unsealer = CheckingUnsealer(world.keys, world.keystore)
        verdict = await LogVerifier(database, unsealer, world.catalogues, world.keystore).verify(tenant)
    assert [*unsealer.damaged(tenant.tenant_id)] == [key_id]
    assert [(each.reason, each.first_seq) for each in verdict.findings] == [("CHANGE_ALTERED", 1)]
    assert verdict.changes == 2
