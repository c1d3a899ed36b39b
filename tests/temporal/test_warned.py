"""Contracts that only warn: what breaks them is stored with its report, listed, and leaned on by nothing."""

import json
from pathlib import Path
from uuid import UUID

import pytest

from intelgraph.contracts.quarantine import EntryState, Quarantine
from intelgraph.contracts.quarantine_opening import QuarantineOpener
from intelgraph.gateway.v1 import entity_pb2, ingest_pb2
from intelgraph.storage.database import Database
from intelgraph.temporal.entities import EntityName, Moment
from intelgraph.tenants.limits import LimitChanges
from intelgraph.tenants.registry import Tenant
from tests.parts.ledger import TESTER
from tests.temporal.world import World, delete, running, upsert

BROKEN = {"id": 7, "at": 10, "note": "x"}
"""Its key can be formed, though the contract wants it to be text."""


@pytest.fixture(autouse=True)
def warned(world: World, tenant: Tenant) -> None:
    world.warned.add(tenant.tenant_id)


async def _get(world: World, tenant: Tenant, entity: UUID) -> entity_pb2.EntityVersion:
    found = await world.entities.get(tenant, EntityName("stations", entity), Moment())
    return entity_pb2.GetResponse.FromString(found.message).version


def _quarantine(world: World) -> Quarantine:
    return Quarantine(world.database, QuarantineOpener(world.keystore, world.unsealer), world.ledger)


async def test_a_record_is_stored_with_its_report(world: World, tenant: Tenant) -> None:
    good, unnamed = upsert({"id": "EWR", "at": 5}), upsert({"at": 1, "note": "no key"})
    ack = await world.ingest(tenant, good, upsert(BROKEN), unnamed, ingest_pb2.Record(upsert=b"{not json"))
    assert (ack.accepted, ack.warned, ack.quarantined) == (2, 1, 2)
    entity = await world.entity_id(tenant, 2)
    version = await _get(world, tenant, entity)
    assert version.warned
    assert json.loads(version.document) == BROKEN
    found = await world.entities.get(tenant, EntityName("stations", entity), Moment(), with_report=True)
    assert found.report is not None
    (row,) = json.loads(found.report)["rows"]
    assert (row["rule"], row["instance"], row["count"], row["records"]) == ("type", "/id", 1, [1])
    other = EntityName("stations", await world.entity_id(tenant, 1))
    assert (await world.entities.get(tenant, other, Moment(), with_report=True)).report is None
    assert not (await _get(world, tenant, await world.entity_id(tenant, 1))).warned
    assert (await world.verifier.verify(tenant)).findings == ()


async def test_every_reader_of_versions_is_told(world: World, tenant: Tenant) -> None:
    # The second has no event time, the fourth is late, and the last puts things right.
    await world.ingest(tenant, upsert(BROKEN))
    await world.ingest(tenant, upsert({"id": 7, "note": "y"}))
    await world.ingest(tenant, upsert({"id": 7, "at": 3, "note": "late"}))
    await world.ingest(tenant, delete("EWR"))
    entity = await world.entity_id(tenant, 1)
    history = await world.entities.history(
        tenant, EntityName("stations", entity), None, 10, with_documents=True
    )
    entries = entity_pb2.HistoryResponse.FromString(history.entries).entries
    assert [(entry.version.seq, entry.version.warned) for entry in entries] == [
        (2, True),
        (1, True),
        (3, True),
    ]
    parts = [part async for part in world.feed.changes(tenant, 0, [], until_now=True)]
    changes = [
        entry.version
        for part in parts
        for entry in entity_pb2.ChangesResponse.FromString(part.entries).entries
    ]
    assert [(version.seq, version.warned) for version in changes] == [(1, True), (2, True), (3, True)]
    moments = Moment(valid_us=3), Moment(valid_us=11)
    diff = await world.entities.diff(tenant, EntityName("stations", entity), *moments)
    response = entity_pb2.DiffResponse.FromString(diff.message)
    assert getattr(response, "from").warned
    assert response.to.warned


async def test_an_entry_lists_it_and_nothing_of_it_waits(world: World, tenant: Tenant) -> None:
    await world.registry.set_limits(tenant.name, LimitChanges(quarantine_records=0), by=TESTER)
    ack = await world.ingest(
        tenant, upsert({"id": "EWR"}), upsert(BROKEN), upsert({"id": 8, "at": 1}), upsert({"id": "JFK"})
    )
    assert (ack.accepted, ack.warned, ack.quarantined, ack.quarantine_id) == (4, 2, 0, "")
    quarantine = _quarantine(world)
    waiting = await quarantine.page(tenant, "", None, 10)
    assert (waiting.entries, waiting.total_records) == ([], 0)
    stored = await quarantine.page(tenant, "stations", None, 10, EntryState.STORED)
    (entry,) = stored.entries
    assert (str(entry.quarantine_id), entry.records, entry.state) == (ack.stored_id, 2, "stored")
    assert stored.total_records == 2
    _, opened, indexes = await quarantine.get(tenant, entry.quarantine_id, with_records=True, by=TESTER)
    assert indexes == []
    (row,) = json.loads(opened.report)["rows"]
    assert (row["rule"], row["count"], row["records"]) == ("type", 2, [1, 2])
    changes = await quarantine.changes(tenant, entry.quarantine_id)
    assert [(change.seq, change.entity_id) for change in changes] == [
        (seq, await world.entity_id(tenant, seq)) for seq in (2, 3)
    ]


async def test_once_enforced_again_nothing_leans_on_what_was_stored(
    world: World, tenant: Tenant, database: Database, tmp_path: Path
) -> None:
    assert (await world.ingest(tenant, upsert(BROKEN))).warned == 1
    world.warned.clear()
    still_broken = upsert(BROKEN | {"at": 11, "note": "another"})
    assert (await world.ingest(tenant, still_broken)).quarantined == 1
    async with running(database, tmp_path / "keys") as restarted:
        again = upsert(BROKEN | {"at": 12, "note": "a third"})
        assert (await restarted.ingest(tenant, again)).quarantined == 1
        assert (await restarted.ingest(tenant, upsert({"id": "7", "at": 12}))).accepted == 1
        restarted.warned.add(tenant.tenant_id)
        assert (await restarted.ingest(tenant, again)).warned == 1
        again = upsert(BROKEN | {"at": 12, "note": "a third"})
        ack = await restarted.ingest(tenant, again)
        assert (ack.duplicate, ack.accepted, ack.warned, ack.stored_id) == (1, 0, 0, ""), (
            "a replay stores nothing"
        )
