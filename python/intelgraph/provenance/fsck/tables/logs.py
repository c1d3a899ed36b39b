"""How far each change log is anchored. Whether it is what was anchored, `intelgraph log verify` says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intelgraph.provenance.fsck.said import said
from intelgraph.provenance.fsck.tables.comparing import Told, compare
from intelgraph.provenance.kinds.spine import LogAnchored

if TYPE_CHECKING:
    import asyncpg

    from intelgraph.provenance.fsck.parts import LedgerParts
    from intelgraph.provenance.fsck.verdict import LedgerVerdict
    from intelgraph.storage.connection import Connection


@dataclass(frozen=True, slots=True)
class Logs:
    """Rows of `log_anchor`."""

    rows: "Sequence[asyncpg.Record]"

    async def check(self, parts: "LedgerParts", size: int, verdict: "LedgerVerdict") -> None:
        """Compares them."""
        anchors = await said(parts, size, LogAnchored)
        told = {str(each.about): Told(each.index, {"seq": each.facts["size"]}) for each in anchors}
        rows = {str(row["tenant_id"]): dict(row) for row in self.rows}
        compare(verdict, "log_anchor", rows, told)


async def read(connection: "Connection") -> Logs:
    """All rows."""
    return Logs(await connection.fetch("SELECT tenant_id, seq FROM log_anchor"))
