"""Reads the tables in one snapshot in which nothing waits for its index: every act is then in both, or in neither."""

import asyncio
from typing import TYPE_CHECKING, Final

from intelgraph.provenance import log_rows
from intelgraph.provenance.fsck.tables import (
    approvals,
    contracts,
    flags,
    keys,
    logs,
    policies,
    streams,
    tenants,
)

if TYPE_CHECKING:
    from intelgraph.provenance.fsck.parts import LedgerParts
    from intelgraph.provenance.fsck.verdict import LedgerVerdict

TRIES: Final = 20
RETRY_SECONDS: Final = 0.25

_AREAS: Final = (tenants, contracts, streams, logs, flags, policies, approvals, keys)


async def check_tables(parts: "LedgerParts", verdict: "LedgerVerdict", *, can_open: bool) -> None:
    """Finds what was done to the tables past the gateway. Where entries go on waiting, that is the finding, and nothing
    was compared.
    """
    for _ in range(TRIES):
        async with parts.database.write() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            waiting = await log_rows.waiting(connection)
            if not waiting:
                size = (await log_rows.head(connection)).size
                tables = [await area.read(connection) for area in _AREAS]
                break
        await asyncio.sleep(RETRY_SECONDS)
    else:
        what = f"{waiting} entries wait for an index, and tables were not held against the ledger; does a gateway run?"
        verdict.find("OUTBOX_WAITING", what)
        return
    if can_open:
        for table in tables:
            await table.check(parts, size, verdict)
