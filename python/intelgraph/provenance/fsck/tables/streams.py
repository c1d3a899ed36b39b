"""Streams: each with the producer that opened it last, and its dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from intelgraph.provenance.fsck.said import said
from intelgraph.provenance.fsck.tables.comparing import Told, compare
from intelgraph.provenance.kinds.spine import StreamOpened

if TYPE_CHECKING:
    import asyncpg

    from intelgraph.provenance.fsck.parts import LedgerParts
    from intelgraph.provenance.fsck.verdict import LedgerVerdict
    from intelgraph.storage.connection import Connection

_STREAMS: Final = """
SELECT stream.tenant_id, stream.stream_id, stream.producer, dataset.name AS dataset
FROM ingest_stream AS stream LEFT JOIN dataset
  ON dataset.tenant_id = stream.tenant_id AND dataset.dataset_id = stream.dataset_id
"""


@dataclass(frozen=True, slots=True)
class Streams:
    """Rows of `ingest_stream`, with the names of their datasets."""

    rows: "Sequence[asyncpg.Record]"

    async def check(self, parts: "LedgerParts", size: int, verdict: "LedgerVerdict") -> None:
        """Compares them."""
        told = {
            f"{each.about} {each.facts['stream_id']}": Told(
                each.index, {"producer": each.facts["producer"], "dataset": each.facts["dataset"]}
            )
            for each in await said(parts, size, StreamOpened)
        }
        rows = {f"{row['tenant_id']} {row['stream_id']}": dict(row) for row in self.rows}
        compare(verdict, "ingest_stream", rows, told)


async def read(connection: "Connection") -> Streams:
    """All rows."""
    return Streams(await connection.fetch(_STREAMS))
