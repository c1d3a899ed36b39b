"""Quarantine opened under the tenant's keys: report and records as they were, and nothing that was moved."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from intelgraph.contracts.quarantine import OpenedEntry, Quarantine, SealedEntry
from intelgraph.contracts.quarantine_opening import QuarantineOpener
from intelgraph.errors import DataLoss
from intelgraph.gateway.v1 import ingest_pb2
from intelgraph.storage.database import Database
from tests.parts.ledger import TESTER
from tests.temporal.world import World, running, upsert

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from intelgraph.tenants.registry import Tenant

BROKEN = (b'{"at": 1}', b'{"id": 7, "secret": "x"}', b"{not json")


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> "AsyncIterator[World]":
    async with running(database, tmp_path / "keys") as started:
        yield started


class Kept:
    """Opens, and keeps what was sealed."""

    def __init__(self, opener: QuarantineOpener) -> None:
        self._opener = opener
        self.sealed: SealedEntry | None = None

    async def open_quarantine(self, tenant: "Tenant", sealed: SealedEntry) -> OpenedEntry:
        self.sealed = sealed
        return await self._opener.open_quarantine(tenant, sealed)


async def test_an_entry_opens_as_it_came_and_in_its_place_only(world: World) -> None:
    tenant = await world.tenant()
    broken = [ingest_pb2.Record(upsert=document) for document in BROKEN]
    ack = await world.ingest(tenant, upsert({"id": "a", "at": 1}), *broken)
    assert (ack.accepted, ack.quarantined) == (1, 3)

    opener = Kept(QuarantineOpener(world.keystore, world.unsealer))
    quarantine = Quarantine(world.database, opener, world.ledger)
    entry, opened, indexes = await quarantine.get(
        tenant, UUID(ack.quarantine_id), with_records=True, by=TESTER
    )
    assert (entry.records, list(indexes), list(opened.documents)) == (3, [1, 2, 3], list(BROKEN))
    report = json.loads(opened.report)
    assert sum(row["count"] for row in report["rows"]) >= 3
    assert b"secret" not in opened.report
    _, bare, _ = await quarantine.get(tenant, UUID(ack.quarantine_id), with_records=False, by=TESTER)
    assert (bare.report, list(bare.documents)) == (opened.report, [])

    await quarantine.get(tenant, UUID(ack.quarantine_id), with_records=True, by=TESTER)
    sealed = opener.sealed
    assert sealed is not None
    first, second, third = sealed.records
    stranger = await world.tenant()
    moved = [
        (tenant, replace(sealed, dataset="others")),
        (tenant, replace(sealed, quarantine_id=uuid4())),
        (tenant, replace(sealed, report=first.sealed)),
        (tenant, replace(sealed, report=b"")),
        (tenant, replace(sealed, records=[replace(first, sealed=second.sealed), second, third])),
        (tenant, replace(sealed, records=[replace(first, fingerprint=bytes(32))])),
        (stranger, sealed),
    ]
    for whose, altered in moved:
        with pytest.raises(DataLoss) as caught:
            await opener.open_quarantine(whose, altered)
        assert caught.value.reason == "DATA_CORRUPT"
        assert "secret" not in str(caught.value)
