"""Whoever shifts times of recording, which no leaf has, is found out, and has nothing removed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from intelgraph.keys.checkpoint_key import KeyringCheckpointKey
from intelgraph.keys.providers import open_provider
from intelgraph.keys.settings import KeySettings
from intelgraph.provenance.anchors import Anchors, anchors_of, recorded_by
from intelgraph.provenance.checkpoints import CheckpointSigner
from intelgraph.provenance.entries import EntryReader
from intelgraph.provenance.log_directory import LogDirectory
from intelgraph.provenance.sequencer import Sequencer
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import Tenant
from tests.retention.runs import Runs
from tests.temporal.world import World, upsert


@pytest_asyncio.fixture
async def sequencing(database: Database, world: World, tmp_path: Path) -> AsyncIterator[None]:
    provider = await open_provider(KeySettings(), tmp_path / "keys", database)
    signer = CheckpointSigner(KeyringCheckpointKey(provider.keyring))
    sequencer = Sequencer(database, LogDirectory(tmp_path / "log"), [], signer)
    await sequencer.start()
    yield
    await sequencer.stop()


async def anchor(world: World) -> None:
    """Anchors what is due, and returns once it has its index."""
    await Anchors(world.database, world.ledger).anchor_due(older_than=0.0)
    async with asyncio.timeout(20):
        while True:
            async with world.database.write() as connection:
                if not await connection.fetchval("SELECT count(*) FROM ledger_outbox"):
                    return
            await asyncio.sleep(0.02)


async def anchored(world: World, tenant: Tenant, times: int) -> None:
    """So many changes, each anchored."""
    for number in range(times):
        await world.ingest(tenant, upsert({"id": "EWR", "at": number}))
        await anchor(world)


def entries(world: World) -> EntryReader:
    return EntryReader(world.database, world.unsealer, world.keystore)


@pytest.mark.usefixtures("sequencing")
async def test_the_last_anchor_up_to_a_change_is_found(world: World, tenant: Tenant) -> None:
    reader = entries(world)
    assert await recorded_by(reader, tenant.tenant_id, 5) is None
    await anchored(world, tenant, 5)
    known = {size: recorded_us for size, _, recorded_us in await anchors_of(reader, tenant.tenant_id)}
    assert sorted(known) == [1, 2, 3, 4, 5]
    for seq in range(8):
        assert await recorded_by(reader, tenant.tenant_id, seq) == known.get(min(seq, 5))


@pytest.mark.usefixtures("sequencing")
async def test_data_whose_times_were_shifted_is_not_removed(world: World, runs: Runs, tenant: Tenant) -> None:
    await anchored(world, tenant, 4)
    await runs.age(tenant, 3, 31)
    for dry_run in (True, False):
        operation = await runs.start(tenant, dry_run=dry_run)
        await runs.hold_all(runs.runner())
        failed = await runs.operations.get(tenant, operation.operation_id)
        assert (failed.state.value, failed.reason) == ("failed", "RETENTION_ANCHOR_DIFFERS")
    verdict = await world.verifier.verify(tenant, anchors=await anchors_of(entries(world), tenant.tenant_id))
    assert verdict.changes == 4
    assert [(each.reason, each.first_seq, each.last_seq) for each in verdict.findings] == [
        ("ANCHOR_DIFFERS", 1, 3)
    ]


@pytest.mark.usefixtures("sequencing")
@pytest.mark.parametrize("seconds", [-1, 1])
async def test_a_time_between_two_anchors_stays_between_them(
    world: World, runs: Runs, tenant: Tenant, seconds: int
) -> None:
    """Of a change that no anchor ends with, only the bounds are known."""
    await anchored(world, tenant, 1)
    await asyncio.sleep(0.05)
    await world.ingest(tenant, upsert({"id": "EWR", "at": 10}))
    await world.ingest(tenant, upsert({"id": "EWR", "at": 11}))
    await anchor(world)
    anchors = await anchors_of(entries(world), tenant.tenant_id)
    assert (await world.verifier.verify(tenant, anchors=anchors)).findings == ()
    shift = "UPDATE entity_change_log SET recorded = recorded + interval '1 second' * $2"
    await runs.as_owner(tenant, f"{shift} WHERE tenant_id = $1 AND seq = 2", seconds)
    found = (await world.verifier.verify(tenant, anchors=anchors)).findings
    assert ("ANCHOR_DIFFERS", 2) in {(each.reason, each.first_seq) for each in found}


async def test_nothing_is_removed_by_a_contract_that_was_altered(
    world: World, runs: Runs, tenant: Tenant
) -> None:
    await world.ingest(tenant, upsert({"id": "EWR", "at": 1}))
    await runs.age(tenant, 1, 8)
    await runs.as_owner(
        tenant,
        "UPDATE contract SET document ="
        " convert_to(replace(convert_from(document, 'UTF8'), 'short-30d', 'ephemeral-7d'), 'UTF8')"
        " WHERE tenant_id = $1",
    )
    operation = await runs.start(tenant)
    await runs.hold_all(runs.runner())
    failed = await runs.operations.get(tenant, operation.operation_id)
    assert (failed.state.value, failed.reason) == ("failed", "CONTRACT_ALTERED")
    async with world.database.write() as connection:
        cut = await connection.fetchval("SELECT retention_cut($1, 1)", tenant.tenant_id)
        left = await connection.fetchval(
            "SELECT count(*) FROM entity_change_log WHERE tenant_id = $1", tenant.tenant_id
        )
    assert (cut, left) == (None, 1)
