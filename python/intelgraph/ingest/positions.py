"""Positions of ingest streams: which sequence is committed, and which connection may go on.

A stream is opened by raising its epoch; a commit moves the position only under the epoch it was opened with. So of
two connections on one stream id the older is fenced: its next commit finds another epoch and is undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from intelgraph import errors
from intelgraph.storage.connection import Connection


@dataclass(frozen=True, slots=True)
class Position:
    """A stream as it was when this connection opened it."""

    stream_no: int
    """Number of the stream within its tenant."""
    epoch: int
    """How often the stream has been opened; fences older connections."""
    sequence: int
    """Last committed sequence."""


@dataclass(frozen=True, slots=True)
class Clock:
    """A tenant's clock row as a commit leaves it."""

    seq: int
    """Last change."""
    recorded: datetime
    """Its time of recording."""
    frontier: bytes
    """RFC 6962 frontier of the tenant's leaves."""
    quarantined: int
    """Records that wait in quarantine."""


_OPEN = """
WITH before AS MATERIALIZED (
  SELECT producer FROM ingest_stream WHERE tenant_id = $1 AND stream_id = $2
)
INSERT INTO ingest_stream AS s
       (tenant_id, stream_no, stream_id, dataset_id, producer, source_region, epoch, sequence, updated_at)
SELECT $1, coalesce(max(stream_no), 0) + 1, $2, $3, $4, $5, 1, 0, now() FROM ingest_stream WHERE tenant_id = $1
ON CONFLICT (tenant_id, stream_id) DO UPDATE
   SET epoch = s.epoch + 1, producer = excluded.producer, source_region = excluded.source_region, updated_at = now()
RETURNING stream_no, epoch, sequence, dataset_id, (SELECT producer FROM before) AS producer_before
"""


async def open_stream(
    connection: Connection,
    tenant_id: UUID,
    stream_id: str,
    dataset_id: int,
    producer: str,
    source_region: str,
) -> tuple[Position, str | None]:
    """Opens a stream, creating it the first time, and fences its older connections. Also gives the producer that it
    had before; None the first time.

    The clock row is locked first: it serialises the numbering of a tenant's streams, and waits for a commit of an
    older connection, so that the returned sequence cannot move any more.

    Raises:
        errors.FailedPrecondition: `STREAM_DATASET` if the stream id belongs to another dataset.
    """
    async with connection.transaction():
        await connection.execute("SELECT 1 FROM tenant_clock WHERE tenant_id = $1 FOR UPDATE", tenant_id)
        rows = await connection.fetch(_OPEN, tenant_id, stream_id, dataset_id, producer, source_region)
        (row,) = rows
        if row["dataset_id"] != dataset_id:
            raise errors.FailedPrecondition(
                "STREAM_DATASET",
                f"stream {stream_id!r} carries another dataset",
                fix="use one stream id per dataset",
            )
    return Position(row["stream_no"], row["epoch"], row["sequence"]), row["producer_before"]


_ADVANCE = """
WITH clock AS (
  UPDATE tenant_clock SET seq = $2, recorded = $3, frontier = $4, quarantined = $8 WHERE tenant_id = $1
), moved AS (
  UPDATE ingest_stream s SET sequence = a.sequence, updated_at = $3
  FROM unnest($5::int[], $6::bigint[], $7::bigint[]) AS a(stream_no, epoch, sequence)
  WHERE s.tenant_id = $1 AND s.stream_no = a.stream_no AND s.epoch = a.epoch AND s.sequence < a.sequence
  RETURNING s.stream_no, s.epoch
)
SELECT stream_no, epoch FROM moved
"""


async def advance(
    connection: Connection,
    tenant_id: UUID,
    clock: Clock,
    targets: Sequence[Position],
) -> frozenset[tuple[int, int]]:
    """Moves the clock and the positions of the streams in `targets`, in one statement. Call it under the clock row.

    Returns (stream_no, epoch) of those that moved; one that is missing was fenced, or its batch is committed already.
    A stream may be named under two epochs: only the newer connection's moves.
    """
    moved = await connection.fetch(
        _ADVANCE,
        tenant_id,
        clock.seq,
        clock.recorded,
        clock.frontier,
        [target.stream_no for target in targets],
        [target.epoch for target in targets],
        [target.sequence for target in targets],
        clock.quarantined,
    )
    return frozenset((row["stream_no"], row["epoch"]) for row in moved)


async def current(connection: Connection, tenant_id: UUID, stream_nos: Sequence[int]) -> dict[int, Position]:
    """The positions of some streams as committed, by stream number."""
    rows = await connection.fetch(
        "SELECT stream_no, epoch, sequence FROM ingest_stream WHERE tenant_id = $1 AND stream_no = ANY($2::int[])",
        tenant_id,
        list(stream_nos),
    )
    return {row["stream_no"]: Position(row["stream_no"], row["epoch"], row["sequence"]) for row in rows}
