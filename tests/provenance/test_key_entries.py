"""What becomes of keys is entered; of the platform's own, as soon as they can seal."""

import json
from pathlib import Path
from typing import Any

from intelgraph._core import keys_of_values, open_ledger_entry
from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance.life import recorded_life
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import TenantRegistry
from tests.parts.ledger import TESTER, LedgerParts, ledger_parts
from tests.parts.outbox import waiting


async def entered(database: Database, parts: LedgerParts) -> list[tuple[str, str | None, dict[str, Any]]]:
    """Kind, tenant and facts of everything in the outbox, in order."""
    async with database.write() as connection:
        rows = await waiting(connection)
    entries = []
    sealed = [value for row in rows for value in (row.header, row.payload)]
    assert not await parts.keys.look_up(PLATFORM, keys_of_values(sealed))
    for row in rows:
        header, _, payload, _ = open_ledger_entry(
            parts.keystore,
            PLATFORM.tenant_id.bytes,
            row.entry_id.bytes,
            row.commitments,
            row.header,
            row.payload,
        )
        said = json.loads(header)
        entries.append((said["kind"], (said["tenant"] or {}).get("name"), json.loads(payload)))
    return entries


async def test_the_first_use_of_the_ledger_enters_what_came_before_it(
    database: Database, tmp_path: Path
) -> None:
    async with (
        ledger_parts(database, tmp_path / "keys", keys_entered=True) as parts,
        recorded_life(parts.ledger, database, "ab" * 32),
    ):
        entries = await entered(database, parts)
    kinds = [kind for kind, _, _ in entries]
    migrations = [facts["name"] for kind, _, facts in entries if kind == "migration.applied"]
    assert migrations == sorted(migrations)
    assert migrations[0] == "0001_spine"
    assert kinds[len(migrations) :] == ["keyring.version_created", "data_key.created", "gateway.started"]
    assert {tenant for _, tenant, _ in entries} == {None}

    async with (
        ledger_parts(database, tmp_path / "keys", keys_entered=True) as parts,
        recorded_life(parts.ledger, database, "ab" * 32),
    ):
        again = (await entered(database, parts))[len(entries) :]
    # The stop of the first, a data key of the second's own, its start; nothing twice.
    assert [kind for kind, _, _ in again] == ["gateway.stopped", "data_key.created", "gateway.started"]


async def test_a_tenants_keys_are_entered_with_their_rows(database: Database, tmp_path: Path) -> None:
    async with ledger_parts(database, tmp_path / "keys", keys_entered=True) as parts:
        tenant = await TenantRegistry(database, parts.ledger).create("acme", by=TESTER)
        before = len(await entered(database, parts))
        await parts.keys.ensure_seal_slot(tenant, 10)
        first = (await entered(database, parts))[before:]
        custody = parts.keys._custodies[tenant.tenant_id]
        await parts.keys._seal_slots.fill(custody)
        second = (await entered(database, parts))[before + len(first) :]
    assert [(kind, name) for kind, name, _ in first] == [
        ("keyring.version_created", "acme"),
        ("data_key.created", "acme"),
    ]
    created, retired = second
    assert (created[0], retired[0]) == ("data_key.created", "data_key.retired")
    assert retired[2] == {"dek_id": first[1][2]["dek_id"], "replaced_by": created[2]["dek_id"]}
    async with database.read(tenant.tenant_id) as connection:
        stored = {row["dek_id"].hex() for row in await connection.fetch("SELECT dek_id FROM data_key")}
    assert stored == {created[2]["dek_id"], retired[2]["dek_id"]}
