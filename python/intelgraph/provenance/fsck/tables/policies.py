"""Tenants' rules: every version as it was put, and the last one in force."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from intelgraph.provenance.fsck.said import said
from intelgraph.provenance.fsck.tables.comparing import Told, compare
from intelgraph.provenance.kinds.policy import PolicyChanged

if TYPE_CHECKING:
    import asyncpg

    from intelgraph.provenance.fsck.parts import LedgerParts
    from intelgraph.provenance.fsck.verdict import LedgerVerdict
    from intelgraph.storage.connection import Connection

_RULES: Final = """
SELECT tenant_id, version, encode(revision, 'hex') AS revision, encode(sha256(modules), 'hex') AS modules, state,
  created_by
FROM tenant_policy
"""


@dataclass(frozen=True, slots=True)
class Policies:
    """Rows of `tenant_policy`."""

    rows: "Sequence[asyncpg.Record]"

    async def check(self, parts: "LedgerParts", size: int, verdict: "LedgerVerdict") -> None:
        """Compares them."""
        told: dict[str, Told] = {}
        for each in await said(parts, size, PolicyChanged):
            version, revision = each.facts["version"], each.facts["revision"]
            before = f"{each.about} {version - 1}"
            if before in told:
                told[before] = told[before].but(each.index, state="replaced")
            columns = {"revision": revision, "modules": revision, "state": "active", "created_by": each.by}
            told[f"{each.about} {version}"] = Told(each.index, columns)
        rows = {f"{row['tenant_id']} {row['version']}": dict(row) for row in self.rows}
        compare(verdict, "tenant_policy", rows, told)


async def read(connection: "Connection") -> Policies:
    """All rows."""
    return Policies(await connection.fetch(_RULES))
