"""The statements of retention: what is due, what a batch of it is, and its removal.

A batch takes all that is due of some entities, so that each of its transactions leaves every entity readable:
untouched, or with everything recorded before the cut gone. Taking changes in order of `seq` instead would have the
next kept version of an entity that changes often get a snapshot again and again. An entity of which more is due than a
batch takes goes in pieces. Removing itself is done by functions of the database's owner: see `0005_operations.sql`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from intelgraph._core import merge_ranges, removed_ranges
from intelgraph.storage.change_log import HEAD_ROW
from intelgraph.storage.copy_format import copy_rows as as_copy
from intelgraph.storage.copying import copy_rows
from intelgraph.storage.log_tree import RANGE_ROW

if TYPE_CHECKING:
    from intelgraph.storage.connection import Connection

ENTITY_ID_BYTES: Final = 16
_ANCHOR_COLUMNS: Final = ("tenant_id", "seq", "snapshot")
_RANGE_COLUMNS: Final = ("tenant_id", "last_seq", "first_seq", "nodes")

# -- what is due -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DatasetClass:
    """A dataset and how long its newest contract keeps it."""

    dataset_id: int
    name: str
    retention: str
    cut: datetime | None
    """What was recorded before is to go; None while it is held."""
    version: str
    """Of the newest contract."""
    intact: bool
    """Whether its document is what its digest says; where it is not, nothing goes."""


_CLASSES: Final = """
SELECT dataset.dataset_id, dataset.name, newest.retention,
  retention_cut(dataset.tenant_id, dataset.dataset_id) AS cut, newest.version, newest.intact
FROM dataset
CROSS JOIN LATERAL (
  SELECT convert_from(document, 'UTF8')::json ->> 'retention' AS retention, version,
    digest = sha256(document) AS intact
  FROM contract
  WHERE contract.tenant_id = $1 AND contract.dataset_id = dataset.dataset_id
  ORDER BY precedence DESC LIMIT 1
) AS newest
WHERE dataset.tenant_id = $1 AND (cardinality($2::text[]) = 0 OR dataset.name = ANY ($2))
ORDER BY dataset.name
"""


async def classes(connection: "Connection", tenant_id: UUID, datasets: tuple[str, ...]) -> list[DatasetClass]:
    """The datasets of these names, or all, by name."""
    rows = await connection.fetch(_CLASSES, tenant_id, list(datasets))
    return [DatasetClass(**row) for row in rows]


_KEEPS: Final = "SELECT coalesce(retention_cut($1, $2) < $3::timestamptz - interval '1 day', true)"


async def keeps(connection: "Connection", tenant_id: UUID, dataset_id: int, cut: datetime) -> bool:
    """Whether the dataset is held as its contracts are now, or kept for longer than when `cut` was computed.

    Classes lie further apart than a day, and the database's clock is not set back as far.
    """
    kept: bool = await connection.fetchval(_KEEPS, tenant_id, dataset_id, cut)
    return kept


_LAST_BEFORE: Final = """
WITH RECURSIVE search (lowest, highest) AS (
  SELECT 0::bigint, (SELECT seq FROM tenant_clock WHERE tenant_id = $1)
  UNION ALL
  SELECT CASE WHEN found.recorded < $2 THEN found.seq ELSE lowest END,
    CASE WHEN found.recorded < $2 THEN highest ELSE middle - 1 END
  FROM (SELECT lowest, highest, (lowest + highest + 1) / 2 AS middle FROM search WHERE lowest < highest) AS half
  LEFT JOIN LATERAL (
    SELECT log.seq, log.recorded FROM entity_change_log AS log
    WHERE log.tenant_id = $1 AND log.seq >= middle ORDER BY log.seq LIMIT 1
  ) AS found ON true
)
SELECT max(lowest) FROM search
"""


async def last_before(connection: "Connection", tenant_id: UUID, cut: datetime) -> int:
    """The tenant's last change that was recorded before; 0 if there is none. Recorded times grow with `seq`, so that
    some thirty looks at the primary key find it.
    """
    last: int = await connection.fetchval(_LAST_BEFORE, tenant_id, cut)
    return last


async def gone_through(connection: "Connection", tenant_id: UUID, dataset_id: int) -> int:
    """The change up to which all of the dataset are gone."""
    through = await connection.fetchval(
        "SELECT through FROM retention_mark WHERE tenant_id = $1 AND dataset_id = $2", tenant_id, dataset_id
    )
    return through or 0


_MARK: Final = """
INSERT INTO retention_mark AS mark (tenant_id, dataset_id, through) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id, dataset_id) DO UPDATE SET through = greatest(mark.through, excluded.through)
"""


async def mark_through(connection: "Connection", tenant_id: UUID, dataset_id: int, through: int) -> None:
    """Remembers how far all changes of the dataset are gone."""
    await connection.execute(_MARK, tenant_id, dataset_id, through)


@dataclass(frozen=True, slots=True)
class Counted:
    """Some changes of a dataset, or records in quarantine."""

    count: int
    entries: int
    oldest_us: int | None
    newest_us: int | None


_COUNT: Final = """
SELECT count(*) AS count, 0 AS entries, (extract(epoch FROM min(recorded)) * 1000000)::bigint AS oldest_us,
  (extract(epoch FROM max(recorded)) * 1000000)::bigint AS newest_us
FROM entity_change_log WHERE tenant_id = $1 AND seq > $3 AND seq <= $4 AND dataset_id = $2
"""

_COUNT_QUARANTINED: Final = """
SELECT coalesce(sum(records), 0)::bigint AS count, count(*) AS entries,
  (extract(epoch FROM min(recorded)) * 1000000)::bigint AS oldest_us,
  (extract(epoch FROM max(recorded)) * 1000000)::bigint AS newest_us
FROM quarantine WHERE tenant_id = $1 AND dataset_id = $2 AND recorded < coalesce($3::timestamptz, 'infinity')
"""


async def count(
    connection: "Connection", tenant_id: UUID, dataset_id: int, after_seq: int, until_seq: int
) -> Counted:
    """The dataset's changes after `after_seq` up to `until_seq`."""
    row = await connection.fetchrow(_COUNT, tenant_id, dataset_id, after_seq, until_seq)
    return Counted(0, 0, None, None) if row is None else Counted(**row)


async def count_quarantined(
    connection: "Connection", tenant_id: UUID, dataset_id: int, cut: datetime | None
) -> Counted:
    """The dataset's entries that were recorded before `cut`, or all, and their records."""
    row = await connection.fetchrow(_COUNT_QUARANTINED, tenant_id, dataset_id, cut)
    return Counted(0, 0, None, None) if row is None else Counted(**row)


# -- a batch ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Batch:
    """Entities of which all changes up to `until` go."""

    entities: bytes
    """ENTITY_ID_BYTES each."""
    until: int
    through: int
    """Once they are gone, all of the dataset up to here are."""


_BATCH: Final = """
WITH scanned AS MATERIALIZED (
  SELECT log.seq, log.dataset_id, log.entity_id FROM entity_change_log AS log
  WHERE log.tenant_id = $1 AND log.seq > $3 AND log.seq <= $4 ORDER BY log.seq LIMIT $5::int
), met AS MATERIALIZED (
  SELECT entity_id, min(seq) AS met_at FROM scanned WHERE dataset_id = $2 GROUP BY entity_id
), sized AS MATERIALIZED (
  SELECT met.entity_id, met.met_at, (
    SELECT count(*) FROM (
      SELECT FROM entity_change_log AS log
      WHERE log.tenant_id = $1 AND log.entity_id = met.entity_id AND log.dataset_id = $2 AND log.seq <= $4
      LIMIT $6::int + 1
    ) AS of_entity
  ) AS due
  FROM (SELECT * FROM met ORDER BY met_at LIMIT $6) AS met
), chosen AS MATERIALIZED (
  SELECT entity_id, met_at, due FROM (
    SELECT *, sum(due) OVER (ORDER BY met_at) AS total, row_number() OVER (ORDER BY met_at) AS number FROM sized
  ) AS numbered
  WHERE total <= $6 OR number = 1
), bounds AS MATERIALIZED (
  SELECT
    CASE WHEN (SELECT max(due) FROM chosen) > $6 THEN (
      -- More than a batch takes: only what was met here, of that entity alone.
      SELECT max(seq) FROM (
        SELECT seq FROM scanned JOIN chosen USING (entity_id) WHERE dataset_id = $2 ORDER BY seq LIMIT $6
      ) AS piece
    ) ELSE $4::bigint END AS until,
    (SELECT min(met_at) - 1 FROM met WHERE entity_id NOT IN (SELECT entity_id FROM chosen)) AS before_next,
    CASE WHEN (SELECT count(*) FROM scanned) < $5 THEN $4::bigint ELSE (SELECT max(seq) FROM scanned) END
      AS scanned
)
SELECT coalesce((SELECT string_agg(uuid_send(entity_id), ''::bytea ORDER BY met_at) FROM chosen), '') AS entities,
  until, least(until, coalesce(before_next, scanned)) AS through
FROM bounds
"""


async def next_batch(
    connection: "Connection",
    tenant_id: UUID,
    dataset_id: int,
    after_seq: int,
    until_seq: int,
    *,
    scan: int,
    most: int,
) -> Batch:
    """What goes next of the dataset's changes after `after_seq` up to `until_seq`: about `most` of them, found among
    the next `scan` changes of the tenant. For the reader.
    """
    row = await connection.fetchrow(_BATCH, tenant_id, dataset_id, after_seq, until_seq, scan, most)
    return Batch(b"", until_seq, until_seq) if row is None else Batch(**row)


_FIRST_KEPT: Final = """
WITH entity AS MATERIALIZED (
  SELECT encode(substring($3::bytea FROM 16 * i + 1 FOR 16), 'hex')::uuid AS entity_id
  FROM generate_series(0, octet_length($3::bytea) / 16 - 1) AS i
), first_kept AS MATERIALIZED (
  SELECT entity.entity_id, kept.seq, kept.valid_at, kept.since_base
  FROM entity
  CROSS JOIN LATERAL (
    SELECT log.seq, log.valid_at, log.since_base FROM entity_change_log AS log
    WHERE log.tenant_id = $1 AND log.entity_id = entity.entity_id AND log.dataset_id = $2 AND log.op <= 3
      AND log.seq > $4
    ORDER BY log.valid_at, log.seq LIMIT 1
  ) AS kept
  WHERE kept.since_base > 0
)
"""

_WITHOUT_BASE: Final = f"""
{_FIRST_KEPT}
SELECT coalesce(sha256(string_agg(int8send(seq) || int2send(since_base), ''::bytea ORDER BY seq)), '')
FROM first_kept
"""  # noqa: S608 (composed of constants of this module)

_CHAINS: Final = f"""
{_FIRST_KEPT}
SELECT {as_copy(HEAD_ROW, "log.entity_id, log.valid_at, log.seq")}
FROM first_kept
CROSS JOIN LATERAL (
  SELECT * FROM entity_change_log AS log
  WHERE log.tenant_id = $1 AND log.entity_id = first_kept.entity_id AND log.dataset_id = $2 AND log.op <= 3
    AND (log.valid_at, log.seq) <= (first_kept.valid_at, first_kept.seq)
  ORDER BY log.valid_at DESC, log.seq DESC LIMIT first_kept.since_base + 1
) AS log
"""  # noqa: S608 (composed of constants of this module)


async def without_base(connection: "Connection", tenant_id: UUID, dataset_id: int, batch: Batch) -> bytes:
    """Which kept versions lose their base when a batch goes, as a digest: equal, where they are the same ones. For the
    reader, and for the writer under the clock.
    """
    digest: bytes = await connection.fetchval(
        _WITHOUT_BASE, tenant_id, dataset_id, batch.entities, batch.until
    )
    return digest


async def chains(connection: "Connection", tenant_id: UUID, dataset_id: int, batch: Batch) -> bytes:
    """The chain of each kept version that loses its base, from the base on: rows of ten fields, entity by entity. For
    the reader.
    """
    rows: bytes | None = await connection.fetchval(
        _CHAINS, tenant_id, dataset_id, batch.entities, batch.until
    )
    return rows or b""


@dataclass(frozen=True, slots=True)
class Removed:
    """What one batch removed."""

    removed: int
    anchored: int
    """Kept versions that got a snapshot."""


async def remove(
    connection: "Connection", tenant_id: UUID, dataset_id: int, batch: Batch, anchors: bytes
) -> Removed:
    """Removes a batch, with the snapshots for what leaned on it, and keeps its leaves as ranges. For the writer, under
    the tenant's clock row.
    """
    if anchors:
        await copy_rows(connection, "anchor_waiting", _ANCHOR_COLUMNS, [anchors])
    row = await connection.fetchrow(
        "SELECT * FROM retention_remove($1, $2, $3, $4)", tenant_id, dataset_id, batch.entities, batch.until
    )
    if row is None:
        raise AssertionError("a function with OUT parameters gives one row")
    if row["leaves"]:
        ranges = removed_ranges(tenant_id.bytes, row["leaves"])
        await copy_rows(connection, "removed_range", _RANGE_COLUMNS, [ranges])
    return Removed(row["removed"], row["anchored"])


async def remove_quarantined(
    connection: "Connection", tenant_id: UUID, dataset_id: int, cut: datetime, most: int
) -> tuple[int, int]:
    """Removes the oldest entries of quarantine, about `most` records; entries and records that went. For the writer,
    under the tenant's clock row.
    """
    row = await connection.fetchrow(
        "SELECT * FROM retention_remove_quarantine($1, $2, $3, $4)", tenant_id, dataset_id, cut, most
    )
    return (0, 0) if row is None else (row["entries"], row["records"])


_RANGES: Final = f"""
SELECT {as_copy(RANGE_ROW, "last_seq")} FROM (
  SELECT * FROM removed_range WHERE tenant_id = $1 AND last_seq > $2 ORDER BY last_seq LIMIT $3::int
) AS removed_range
"""  # noqa: S608 (composed of constants of this module)


async def merge(connection: "Connection", tenant_id: UUID, after_seq: int, most: int) -> int | None:
    """Makes one of ranges that have come to follow each other, of the next `most`; where to go on, None at the end. For
    the writer, under the tenant's clock row.
    """
    ranges = await connection.fetchval(_RANGES, tenant_id, after_seq, most)
    if not ranges:
        return None
    merged, before, after, last_seq = merge_ranges(tenant_id.bytes, ranges)
    if after < before:
        await connection.execute(
            "DELETE FROM removed_range WHERE tenant_id = $1 AND last_seq > $2 AND last_seq <= $3",
            tenant_id,
            after_seq,
            last_seq,
        )
        await copy_rows(connection, "removed_range", _RANGE_COLUMNS, [merged])
    # The last one may be followed by the first of the next.
    return last_seq - 1 if before == most and most > 1 else None
