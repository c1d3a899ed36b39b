"""Keys: every data key, and the versions of owners' keys that wrapped tenant keys. What a row holds of the key itself
is checked when it is opened: the row's id is the key's commitment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance.fsck.said import said
from intelgraph.provenance.fsck.tables.comparing import Told, compare
from intelgraph.provenance.kinds.spine import DataKeyCreated, KeyringVersionCreated, MigrationApplied

if TYPE_CHECKING:
    import asyncpg

    from intelgraph.provenance.fsck.parts import LedgerParts
    from intelgraph.provenance.fsck.said import Said
    from intelgraph.provenance.fsck.verdict import LedgerVerdict
    from intelgraph.storage.connection import Connection

_DATA_KEYS: Final = """
SELECT tenant_id, encode(dek_id, 'hex') AS dek_id, suite, tenant_key_id::text, ledgered FROM data_key
"""
_TENANT_KEYS: Final = """
SELECT tenant_id, key_id, provider, kek_id, kek_version, ledgered FROM tenant_key
"""
_MIGRATIONS: Final = "SELECT name, encode(sha256, 'hex') AS digest, ledgered FROM migration_checksum"


@dataclass(frozen=True, slots=True)
class Keys:
    """Rows of `data_key` and `tenant_key`; and of `migration_checksum`, which is entered as late as the first keys."""

    data_keys: "Sequence[asyncpg.Record]"
    tenant_keys: "Sequence[asyncpg.Record]"
    migrations: "Sequence[asyncpg.Record]"

    async def check(self, parts: "LedgerParts", size: int, verdict: "LedgerVerdict") -> None:
        """Compares them. What is marked to be entered yet, because it is needed to seal its own entry, is left out."""
        data_keys = {
            f"{_owner(each)} {each.facts['dek_id']}": Told(
                each.index, {column: each.facts[column] for column in ("suite", "tenant_key_id")}
            )
            for each in await said(parts, size, DataKeyCreated)
        }
        rows = {
            f"{row['tenant_id']} {row['dek_id']}": dict(row) for row in self.data_keys if not _is_marked(row)
        }
        compare(verdict, "data_key", rows, data_keys)
        await self._check_tenant_keys(parts, size, verdict)
        migrations = {
            each.facts["name"]: Told(each.index, {"digest": each.facts["digest"]})
            for each in await said(parts, size, MigrationApplied)
        }
        applied = {row["name"]: dict(row) for row in self.migrations if row["ledgered"]}
        compare(verdict, "migration_checksum", applied, migrations)

    async def _check_tenant_keys(self, parts: "LedgerParts", size: int, verdict: "LedgerVerdict") -> None:
        """Only the first key that a version wrapped has an entry; the others have to be of a version that has one."""
        versions = await said(parts, size, KeyringVersionCreated)
        columns = ("provider", "kek_id", "kek_version")
        told = {
            f"{_owner(each)} {each.facts['tenant_key_id']}": Told(
                each.index, {column: each.facts[column] for column in columns}
            )
            for each in versions
        }
        known = {(_owner(each), *(each.facts[column] for column in columns)) for each in versions}
        rows = {
            name: dict(row)
            for row in self.tenant_keys
            if not _is_marked(row)
            for name in [f"{row['tenant_id']} {row['key_id']}"]
            if name in told or (str(row["tenant_id"]), *(row[column] for column in columns)) not in known
        }
        compare(verdict, "tenant_key", rows, told)


async def read(connection: "Connection") -> Keys:
    """All rows."""
    return Keys(
        await connection.fetch(_DATA_KEYS),
        await connection.fetch(_TENANT_KEYS),
        await connection.fetch(_MIGRATIONS),
    )


def _owner(each: "Said") -> str:
    return each.about if each.about is not None else str(PLATFORM.tenant_id)


def _is_marked(row: "asyncpg.Record") -> bool:
    return row["tenant_id"] == PLATFORM.tenant_id and not row["ledgered"]
