"""Entries are in the outbox if the act that they are about is committed, sealed, and committed to."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from intelgraph._core import CorruptData, open_ledger_entry
from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance.actor import Actor
from intelgraph.provenance.kinds import KINDS
from intelgraph.provenance.kinds.spine import ContractPublished
from intelgraph.provenance.ledger import Ledger
from intelgraph.storage.database import Database
from tests.parts.ledger import ledger_parts
from tests.parts.outbox import waiting

ALICE = Actor("alice", "jwt")
PUBLISHED = ContractPublished("flights", "1.0.0", "ab" * 32)


async def test_an_entry_is_committed_with_its_act(database: Database, tmp_path: Path) -> None:
    async with ledger_parts(database, tmp_path / "keys") as parts:
        async with database.write() as connection:
            entry_id = await parts.ledger.append(
                connection, PUBLISHED, subject="contract:flights@1.0.0", by=ALICE, tenant=None
            )
        async with database.write() as connection:
            (row,) = await waiting(connection)
        assert (row.entry_id, row.tenant_id, row.kind) == (entry_id, None, 10)
        opened = open_ledger_entry(
            parts.keystore,
            PLATFORM.tenant_id.bytes,
            entry_id.bytes,
            row.commitments,
            row.header,
            row.payload,
        )
    header, payload = json.loads(opened[0]), json.loads(opened[2])
    assert header["actor"] == {"method": "jwt", "subject": "alice"}
    assert (header["kind"], header["subject"], header["entry"]) == (
        "contract.published",
        "contract:flights@1.0.0",
        str(entry_id),
    )
    assert payload == {"dataset": "flights", "version": "1.0.0", "digest": "ab" * 32, "retention": ""}


async def test_an_act_that_is_undone_leaves_no_entry(database: Database, ledger: Ledger) -> None:
    async def undone() -> None:
        async with database.write() as connection:
            await ledger.append(connection, PUBLISHED, subject="contract:flights", by=ALICE, tenant=None)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await undone()
    async with database.write() as connection:
        assert await connection.fetchval("SELECT count(*) FROM ledger_outbox") == 0


async def test_nothing_of_an_entry_is_stored_in_clear(database: Database, ledger: Ledger) -> None:
    async with database.write() as connection:
        await ledger.append(connection, PUBLISHED, subject="contract:flights", by=ALICE, tenant=None)
        (row,) = await connection.fetch("SELECT packed FROM ledger_outbox")
    for clear in (b"alice", b"flights", b"contract"):
        assert clear not in row["packed"]


async def test_a_part_that_was_altered_does_not_open(database: Database, tmp_path: Path) -> None:
    async with ledger_parts(database, tmp_path / "keys") as parts:
        async with database.write() as connection:
            await parts.ledger.append(connection, PUBLISHED, subject="contract", by=ALICE, tenant=None)
            await parts.ledger.append(connection, PUBLISHED, subject="contract", by=ALICE, tenant=None)
            one, other = await waiting(connection)
        owner = PLATFORM.tenant_id.bytes
        for taken in ("commitments", "header", "payload"):
            mixed = replace(one, **{taken: getattr(other, taken)})
            with pytest.raises(CorruptData):
                open_ledger_entry(
                    parts.keystore,
                    owner,
                    one.entry_id.bytes,
                    mixed.commitments,
                    mixed.header,
                    mixed.payload,
                )


def test_kinds_are_closed_and_numbered_once() -> None:
    assert len({kind.KIND for kind in KINDS.values()}) == len(KINDS)
    assert [kind.NUMBER for kind in KINDS.values()] == [*KINDS]
