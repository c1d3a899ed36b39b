"""Anchors each tenant's change log in the ledger: its size and root, at least once a minute while it is written.

From then on nobody can alter, swap or take away a change that the anchor covers without it being seen: not the one who
owns the database, nor the one who holds the tenant's keys.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from intelgraph._core import tree_of_frontier
from intelgraph.errors import IntelGraphError
from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance.actor import GATEWAY
from intelgraph.provenance.entries import EntryFilter
from intelgraph.provenance.kinds.spine import LogAnchored
from intelgraph.provenance.ledger import Act

if TYPE_CHECKING:
    import asyncpg

    from intelgraph.provenance.entries import EntryReader
    from intelgraph.provenance.ledger import Ledger
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database

EVERY_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 10.0
"""How often a gateway looks which logs are due; together with `EVERY_SECONDS` less than a minute."""
MOST_AT_ONCE: Final = 200
_PAGE: Final = 1000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_log = logging.getLogger(__name__)

_DUE: Final = """
SELECT clock.tenant_id, tenant.name, clock.seq, clock.recorded, clock.frontier
FROM tenant_clock AS clock
JOIN tenant ON tenant.tenant_id = clock.tenant_id
LEFT JOIN log_anchor AS anchor ON anchor.tenant_id = clock.tenant_id
WHERE clock.seq > coalesce(anchor.seq, 0)
  AND coalesce(anchor.anchored_at, 'epoch') <= clock_timestamp() - $1::interval
ORDER BY clock.tenant_id LIMIT $2
"""

# Of gateways that find a log due at the same time the first to commit anchors it.
_ANCHOR: Final = """
INSERT INTO log_anchor AS anchor (tenant_id, seq)
SELECT * FROM unnest($1::uuid[], $2::bigint[])
ON CONFLICT (tenant_id) DO UPDATE SET seq = excluded.seq, anchored_at = clock_timestamp()
WHERE anchor.seq < excluded.seq
RETURNING tenant_id
"""


async def anchors_of(reader: "EntryReader", tenant_id: UUID) -> Sequence[tuple[int, bytes, int]]:
    """Sizes that the tenant's log had, its root at each, and when its last change was recorded (microseconds since the
    Unix epoch), as the ledger has them. Raises as `EntryReader.page`.
    """
    wanted = EntryFilter(kinds=(LogAnchored.NUMBER,), about=tenant_id)
    found: list[tuple[int, bytes, int]] = []
    before: int | None = None
    while True:
        entries, before = await reader.page(PLATFORM.tenant_id, wanted, before, _PAGE)
        for entry in entries:
            said = json.loads(entry.payload) if entry.payload else None
            if said is not None:
                found.append((said["size"], bytes.fromhex(said["root"]), said["recorded_us"]))
        if before is None:
            return found


async def recorded_by(reader: "EntryReader", tenant_id: UUID, seq: int) -> int | None:
    """When the tenant's last change up to `seq` that is the end of an anchor was recorded, by the ledger: no change
    after it was recorded earlier. In microseconds since the Unix epoch; None without an anchor. Anchors grow with
    their index, so that some thirty looks find it. Raises as `EntryReader.page`.
    """
    wanted = EntryFilter(kinds=(LogAnchored.NUMBER,), about=tenant_id)
    recorded_us: int | None = None
    first, end = 0, await reader.size()
    while first < end:
        middle = (first + end + 1) // 2
        entries, _ = await reader.page(PLATFORM.tenant_id, wanted, middle, 1)
        if not entries or entries[0].index < first:
            first = middle
        elif (said := json.loads(entries[0].payload))["size"] <= seq:
            first, recorded_us = middle, said["recorded_us"]
        else:
            end = entries[0].index
    return recorded_us


class _Named:
    """A tenant, as its entry names it."""

    def __init__(self, tenant_id: UUID, name: str) -> None:
        self.tenant_id = tenant_id
        self.name = name


class Anchors:
    """Anchors whatever is due, for as long as it runs."""

    def __init__(self, database: "Database", ledger: "Ledger") -> None:
        self._database = database
        self._ledger = ledger

    async def run(self) -> None:
        """Never returns."""
        while True:
            try:
                while await self.anchor_due() == MOST_AT_ONCE:
                    pass
            except IntelGraphError as error:
                _log.warning("change logs not anchored", extra={"why": error.reason})
            await asyncio.sleep(LOOK_SECONDS)

    async def anchor_due(self, older_than: float = EVERY_SECONDS) -> int:
        """Anchors logs that were written since they were last anchored, longer ago than that; says how many were due.

        Raises as `Ledger.append_all`.
        """
        await self._ledger.ready(MOST_AT_ONCE)
        async with self._database.write() as connection:
            due = await connection.fetch(_DUE, timedelta(seconds=older_than), MOST_AT_ONCE)
            if due:
                await self._anchor(connection, due)
        return len(due)

    async def _anchor(self, connection: "Connection", due: Sequence["asyncpg.Record"]) -> None:
        ids, sizes = [row["tenant_id"] for row in due], [row["seq"] for row in due]
        won = {row["tenant_id"] for row in await connection.fetch(_ANCHOR, ids, sizes)}
        await self._ledger.append_all(connection, [_act(row) for row in due if row["tenant_id"] in won])


def _act(row: "asyncpg.Record") -> Act:
    size, root = tree_of_frontier(row["frontier"])
    recorded_us = (row["recorded"] - _EPOCH) // timedelta(microseconds=1)
    tenant = _Named(row["tenant_id"], row["name"])
    return Act(LogAnchored(size, root.hex(), recorded_us), f"log:{row['name']}", GATEWAY, tenant)
