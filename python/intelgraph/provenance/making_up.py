"""Enters what happened when no entry could be sealed: migrations, applied before there are keys, and the platform's own
keys, which seal every entry and so cannot seal that of their own making. Each is marked in its row until it is entered.
"""

from typing import TYPE_CHECKING, Final

from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance.actor import GATEWAY
from intelgraph.provenance.kinds.spine import DataKeyCreated, KeyringVersionCreated, MigrationApplied
from intelgraph.provenance.ledger import Act

if TYPE_CHECKING:
    from intelgraph.provenance.ledger import Ledger
    from intelgraph.storage.database import Database

_MIGRATIONS: Final = """
UPDATE migration_checksum SET ledgered = true WHERE NOT ledgered RETURNING name, encode(sha256, 'hex') AS digest
"""

_TENANT_KEYS: Final = """
UPDATE tenant_key SET ledgered = true WHERE tenant_id = $1 AND NOT ledgered
RETURNING key_id::text, provider, kek_id, kek_version
"""

_DATA_KEYS: Final = """
UPDATE data_key SET ledgered = true WHERE tenant_id = $1 AND NOT ledgered
RETURNING encode(dek_id, 'hex') AS dek_id, tenant_key_id::text, suite
"""


async def make_up(ledger: "Ledger", database: "Database") -> None:
    """Enters all of it. Raises as `Ledger.append_all`."""
    await ledger.ready()
    async with database.write() as connection:
        acts = [
            Act(MigrationApplied(row["name"], row["digest"]), f"migration:{row['name']}", GATEWAY, None)
            for row in sorted(await connection.fetch(_MIGRATIONS), key=lambda row: str(row["name"]))
        ]
        for row in await connection.fetch(_TENANT_KEYS, PLATFORM.tenant_id):
            version = KeyringVersionCreated(row["provider"], row["kek_id"], row["kek_version"], row["key_id"])
            acts.append(Act(version, f"kek:{row['kek_id']}", GATEWAY, None))
        for row in await connection.fetch(_DATA_KEYS, PLATFORM.tenant_id):
            created = DataKeyCreated(row["dek_id"], row["tenant_key_id"], row["suite"])
            acts.append(Act(created, f"data-key:{row['dek_id']}", GATEWAY, None))
        await ledger.append_all(connection, acts)
