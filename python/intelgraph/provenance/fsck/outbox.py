"""What waits for its index has to get it soon."""

import asyncio
from typing import TYPE_CHECKING

from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance import log_rows

if TYPE_CHECKING:
    from intelgraph.provenance.fsck.parts import LedgerParts
    from intelgraph.provenance.fsck.verdict import LedgerVerdict


async def check_outbox(parts: "LedgerParts", verdict: "LedgerVerdict") -> None:
    """Finds what does not."""
    for _ in range(20):
        async with parts.database.read(PLATFORM.tenant_id) as connection:
            waiting = await log_rows.waiting(connection)
        if not waiting:
            return
        await asyncio.sleep(0.25)
    verdict.find("OUTBOX_WAITING", f"{waiting} entries wait for an index; does a gateway run?")
