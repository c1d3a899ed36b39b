"""Change logs are anchored in the ledger; whoever rewrites one, and all that the database says of it, is found out."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from intelgraph.keys.checkpoint_key import KeyringCheckpointKey
from intelgraph.keys.providers import open_provider
from intelgraph.keys.settings import KeySettings
from intelgraph.provenance.anchors import Anchors, anchors_of
from intelgraph.provenance.checkpoints import CheckpointSigner
from intelgraph.provenance.entries import EntryReader
from intelgraph.provenance.log_directory import LogDirectory
from intelgraph.provenance.sequencer import Sequencer
from intelgraph.storage.database import Database
from tests.temporal.world import World, running, upsert


@pytest_asyncio.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with running(database, tmp_path / "keys") as started:
        provider = await open_provider(KeySettings(), tmp_path / "keys", database)
        signer = CheckpointSigner(KeyringCheckpointKey(provider.keyring))
        sequencer = Sequencer(database, LogDirectory(tmp_path / "log"), [], signer)
        await sequencer.start()
        yield started
        await sequencer.stop()


async def anchored(world: World) -> int:
    """Anchors what is due, and returns once it has its index; how many logs were due."""
    due = await Anchors(world.database, world.ledger).anchor_due(older_than=0.0)
    async with asyncio.timeout(20):
        while True:
            async with world.database.write() as connection:
                if not await connection.fetchval("SELECT count(*) FROM ledger_outbox"):
                    return due
            await asyncio.sleep(0.02)


def reader(world: World) -> EntryReader:
    return EntryReader(world.database, world.unsealer, world.keystore)


async def test_a_log_is_anchored_when_it_was_written_and_not_otherwise(world: World) -> None:
    tenant = await world.tenant()
    assert await anchored(world) == 0
    await world.ingest(tenant, upsert({"id": "a", "at": 1}), upsert({"id": "b", "at": 1}))
    assert await anchored(world) == 1
    assert await anchored(world) == 0
    await world.ingest(tenant, upsert({"id": "a", "at": 2}))
    # Not at once again: the log was anchored a moment ago.
    assert await Anchors(world.database, world.ledger).anchor_due() == 0
    assert await anchored(world) == 1
    anchors = sorted(await anchors_of(reader(world), tenant.tenant_id))
    assert [size for size, *_ in anchors] == [2, 3]
    verdict = await world.verifier.verify(tenant, anchors=anchors)
    assert (verdict.findings, verdict.root) == ((), anchors[-1][1])


async def test_a_log_that_was_cut_back_with_its_clock_is_found_out(world: World) -> None:
    tenant = await world.tenant()
    await world.ingest(tenant, upsert({"id": "a", "at": 1}))
    async with world.database.write() as connection:
        before = await connection.fetchrow(
            "SELECT seq, frontier FROM tenant_clock WHERE tenant_id = $1", tenant.tenant_id
        )
    await world.ingest(tenant, upsert({"id": "a", "at": 2}), upsert({"id": "b", "at": 2}))
    await anchored(world)
    anchors = await anchors_of(reader(world), tenant.tenant_id)
    assert before is not None
    # What the database alone says fits: only the ledger knows that there was more.
    async with world.database.write() as connection:
        await connection.execute(
            "UPDATE tenant_clock SET seq = $2, frontier = $3 WHERE tenant_id = $1",
            tenant.tenant_id,
            before["seq"],
            before["frontier"],
        )
    verdict = await world.verifier.verify(tenant, anchors=anchors)
    assert {(each.reason, each.first_seq, each.last_seq) for each in verdict.findings} >= {
        ("CHANGE_MISSING", 2, 3)
    }


async def test_a_root_that_was_never_the_logs_is_found(world: World) -> None:
    tenant = await world.tenant()
    for number in range(4):
        await world.ingest(tenant, upsert({"id": "a", "at": number}))
        await anchored(world)
    anchors = sorted(await anchors_of(reader(world), tenant.tenant_id))
    size, root, recorded_us = anchors[2]
    anchors[2] = (size, bytes(32), recorded_us)
    verdict = await world.verifier.verify(tenant, anchors=anchors)
    (finding,) = verdict.findings
    assert (finding.reason, finding.first_seq, finding.last_seq) == ("ANCHOR_DIFFERS", 3, 3)
    assert root != bytes(32)


async def test_two_gateways_anchor_a_log_once(world: World) -> None:
    tenant = await world.tenant()
    await world.ingest(tenant, upsert({"id": "a", "at": 1}))
    both = [Anchors(world.database, world.ledger) for _ in range(2)]
    await asyncio.gather(*(each.anchor_due(older_than=0.0) for each in both))
    await anchored(world)
    assert len(await anchors_of(reader(world), tenant.tenant_id)) == 1
