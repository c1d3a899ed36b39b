"""`intelgraph` as it is, but that every third batch of a stream writes a ledger entry in its transaction.

For the benchmark of what an entry costs a batch. The arms alternate within one stream: whatever else the machine does
meets all of them alike.
"""

from typing import Any, Final

from intelgraph.cli.app import main
from intelgraph.ingest.committer import TenantCommitter
from intelgraph.provenance.actor import Actor
from intelgraph.provenance.kinds.spine import QuarantineOpened
from intelgraph.provenance.ledger import Act, Ledger
from intelgraph.storage.change_log import Clock
from intelgraph.storage.connection import Connection

EVERY: Final = 3
"""Batches whose sequence is a multiple of this write an entry."""

_BY: Final = Actor("bench", "jwt")
_ledgers: Final[list[Ledger]] = []


class _KnownLedger(Ledger):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        _ledgers.append(self)


async def _write(self: Any, connection: Connection, clock: Clock, flight: Any, limit: int) -> None:
    await _written(self, connection, clock, flight, limit)
    acts = [
        Act(QuarantineOpened("shipments", str(each.target.sequence), False), "batch", _BY, self._tenant)
        for each in flight.submissions
        if each.target.sequence % EVERY == 0
    ]
    await _ledgers[0].append_all(connection, acts, clock.now_us)


_written: Final[Any] = TenantCommitter._write  # noqa: SLF001 (what the benchmark changes)


if __name__ == "__main__":
    from intelgraph.gateway import assembly

    TenantCommitter._write = _write  # type: ignore[method-assign] # noqa: SLF001 (as above)
    assembly.Ledger = _KnownLedger  # type: ignore[misc] # as above
    main()
