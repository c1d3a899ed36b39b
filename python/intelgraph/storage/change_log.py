"""The queries of the change log: what a commit needs to know, and what a reader asks for.

Each is one statement and one round trip, walks an index, names the tenant in every predicate, and gives back
one row to Python whatever the number of records. Times are microseconds since the Unix epoch on the way in;
on the way out rows are in the format of `copy_format`. A row of the log is, in this order:

    seq int8, recorded timestamptz, valid_at timestamptz, entity_id uuid, dataset_id int4, version int4,
    op int2, since_base int2, sealed bytea, snapshot bytea

and, where a reader asks, an eleventh field, contract_id int4.

A bound that is computed stands in a sub-select: row-level security lets only plain values near an index.

Two orders agree along an entity's chain (operations 1 to 3): a chain row is never older in valid time than
the one before, or it would be late. So the chain back from a row is what precedes it by (valid_at, seq), late
rows left out, and its length is `since_base`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from intelgraph.errors import Internal
from intelgraph.storage.copy_format import copy_row, copy_rows

if TYPE_CHECKING:
    from intelgraph.storage.connection import Connection

_HEAD_COLUMNS: Final = (
    ("log.seq", "int8"),
    ("log.recorded", "timestamptz"),
    ("log.valid_at", "timestamptz"),
    ("log.entity_id", "uuid"),
    ("log.dataset_id", "int4"),
    ("log.version", "int4"),
    ("log.op", "int2"),
    ("log.since_base", "int2"),
    ("log.sealed", "bytea"),
)
READ_COLUMNS: Final = (*_HEAD_COLUMNS, ("log.snapshot", "bytea"), ("log.contract_id", "int4"))
"""The eleven fields that a reader gets, each an expression over `log` and its type."""
HEAD_ROW: Final = copy_row(*_HEAD_COLUMNS, ("log.snapshot", "bytea"))
"""The ten fields that rebuild a head."""
_READ_ROW: Final = copy_row(*READ_COLUMNS)
_FEED_ROW: Final = copy_row(*_HEAD_COLUMNS, ("NULL::bytea", "bytea"), ("log.contract_id", "int4"))

_LATEST_US: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999. A bound beyond it bounds nothing."""
_EARLIEST_US: Final = -62_135_596_800_000_000
"""The first microsecond of the year 1. No record is older."""

PAGE_BYTES: Final = 4 << 20
"""A page of versions or changes ends at the row that takes it beyond this, however many were asked for."""


def _moment(unix_us: str) -> str:
    # An interval is multiplied in floating point, which is exact for whole seconds and for less than one, and
    # not for the microseconds of a year like 9999.
    return (
        f"(timestamptz 'epoch' + interval '1 second' * ({unix_us} / 1000000)"
        f" + interval '1 microsecond' * ({unix_us} % 1000000))"
    )


def _unix_us(moment: str) -> str:
    return f"(extract(epoch FROM {moment}) * 1000000)::bigint"


# -- what a commit needs ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Clock:
    """A tenant's clock row, locked."""

    seq: int
    """Last change."""
    recorded_us: int
    """Its time of recording; 0 before the first."""
    frontier: bytes
    """RFC 6962 frontier of the tenant's leaves."""
    quarantined: int
    """Records that wait in quarantine."""
    retained: int
    """Batches of retention: how often versions were removed."""
    now_us: int
    """The database's clock."""


_LOCK_CLOCK: Final = f"""
SELECT seq, {_unix_us("recorded")} AS recorded_us, frontier, quarantined, retained,
  {_unix_us("clock_timestamp()")} AS now_us
FROM tenant_clock WHERE tenant_id = $1 FOR UPDATE
"""  # noqa: S608 (composed of constants of this module)


async def lock_clock(connection: "Connection", tenant_id: UUID) -> Clock:
    """Takes the tenant's clock until the transaction ends. For the writer.

    Raises Internal CLOCK_MISSING for a tenant that was not created by the registry.
    """
    row = await connection.fetchrow(_LOCK_CLOCK, tenant_id)
    if row is None:
        raise _clock_missing()
    return Clock(**row)


async def watermark(connection: "Connection", tenant_id: UUID) -> int:
    """The tenant's last committed change, 0 before the first. For the writer and the reader.

    Raises Internal CLOCK_MISSING.
    """
    seq: int | None = await connection.fetchval(
        "SELECT seq FROM tenant_clock WHERE tenant_id = $1", tenant_id
    )
    if seq is None:
        raise _clock_missing()
    return seq


@dataclass(frozen=True, slots=True)
class CachePoint:
    """What heads in memory reflect."""

    seq: int
    """The last change."""
    retained: int
    """The last batch of retention."""


async def cache_point(connection: "Connection", tenant_id: UUID) -> CachePoint:
    """Where a process begins that has no heads yet. For the reader. Raises Internal CLOCK_MISSING."""
    row = await connection.fetchrow("SELECT seq, retained FROM tenant_clock WHERE tenant_id = $1", tenant_id)
    if row is None:
        raise _clock_missing()
    return CachePoint(**row)


async def retained_after(connection: "Connection", tenant_id: UUID, after: int, until: int) -> bytes | None:
    """The entities of which the batches of retention after `after` up to `until` took versions, `ENTITY_BYTES` each;
    None where that is too long ago to be known. For the writer under the clock.
    """
    row = await connection.fetchrow(_RETAINED, tenant_id, after, until)
    if row is None or row["batches"] != until - after:
        return None
    entities: bytes = row["entities"]
    return entities


_RETAINED: Final = """
SELECT count(*) AS batches, coalesce(string_agg(entities, ''::bytea), '') AS entities
FROM retained_batch WHERE tenant_id = $1 AND number > $2 AND number <= $3
"""

ENTITY_BYTES: Final = 20
"""A dataset's number and an entity's id, as `Moved` names them."""
ENTITIES_PAGE: Final = 100_000
"""Changes whose entities are read at a time: 2 MB of them."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What changed after a watermark."""

    keys: bytes
    """For each change, in order of `seq`, `ENTITY_BYTES`: dataset_id i32, entity_id."""
    seq: int
    """The new watermark."""


_ENTITIES: Final = """
WITH page AS MATERIALIZED (
  SELECT log.seq, log.dataset_id, log.entity_id FROM entity_change_log AS log
  WHERE log.tenant_id = $1 AND log.seq > $2 ORDER BY log.seq LIMIT $3::int
)
SELECT string_agg(int4send(dataset_id) || uuid_send(entity_id), ''::bytea ORDER BY seq) AS keys,
  -- The last changes may be gone: where there are no more rows, everything is known.
  CASE WHEN count(*) = $3 THEN max(seq) ELSE (SELECT seq FROM tenant_clock WHERE tenant_id = $1) END AS seq
FROM page
"""


async def entities_after(connection: "Connection", tenant_id: UUID, after_seq: int, limit: int) -> Moved:
    """The entities of at most `limit` changes after `after_seq`; `seq` is the last one's, or the last of the log where
    there are no more. For the reader, and for the writer under the clock.
    """
    (row,) = await connection.fetch(_ENTITIES, tenant_id, after_seq, limit)
    return Moved(row["keys"] or b"", row["seq"])


_FETCH_HEADS: Final = f"""
WITH entity AS MATERIALIZED (
  SELECT encode(substring($3::bytea FROM 16 * i + 1 FOR 16), 'hex')::uuid AS entity_id
  FROM generate_series(0, octet_length($3::bytea) / 16 - 1) AS i
), late AS MATERIALIZED (
  SELECT entity_id, {_moment("unix_us")} AS valid_at
  FROM generate_series(0, octet_length($4::bytea) / 16 - 1) AS i
  CROSS JOIN LATERAL (
    SELECT encode(substring($4 FROM 16 * i + 1 FOR 16), 'hex')::uuid AS entity_id,
      ('x' || encode(substring($5::bytea FROM 8 * i + 1 FOR 8), 'hex'))::bit(64)::bigint AS unix_us
    OFFSET 0
  ) AS decoded
)
SELECT {copy_rows(HEAD_ROW)}
FROM (
  SELECT chain.*
  FROM entity
  LEFT JOIN LATERAL (
    SELECT head.since_base FROM entity_change_log AS head
    WHERE head.tenant_id = $1 AND head.dataset_id = $2 AND head.entity_id = entity.entity_id AND head.op <= 3
    ORDER BY head.valid_at DESC, head.seq DESC LIMIT 1
  ) AS head ON true
  CROSS JOIN LATERAL (
    SELECT * FROM entity_change_log AS log
    WHERE log.tenant_id = $1 AND log.dataset_id = $2 AND log.entity_id = entity.entity_id
      AND (log.op <= 3 OR head.since_base IS NULL)
    ORDER BY log.valid_at DESC, log.seq DESC LIMIT coalesce(head.since_base, 0) + 1
  ) AS chain
  UNION ALL
  SELECT same_time.*
  FROM late
  CROSS JOIN LATERAL (
    SELECT * FROM entity_change_log AS log
    WHERE log.tenant_id = $1 AND log.dataset_id = $2 AND log.entity_id = late.entity_id
      AND log.valid_at = late.valid_at
    OFFSET 0
  ) AS same_time
) AS log
"""  # noqa: S608 (composed of constants of this module)


async def fetch_heads(
    connection: "Connection",
    tenant_id: UUID,
    dataset_id: int,
    entities: bytes,
    late_entities: bytes,
    late_valid_at: bytes,
) -> bytes:
    """What a batch has to know of entities that are not in memory. For the reader.

    `entities` names, by 16 bytes each, the entities whose chain is wanted from the newest row back to its
    base; of one whose chain retention took, the newest late row comes instead. `late_entities` (16 bytes each)
    and `late_valid_at` (i64 each, big-endian, microseconds since the Unix epoch) name pairs of which every row
    at exactly that valid time is wanted. Returns rows of ten fields
    in no order; a row that is wanted for both reasons comes twice.
    """
    rows: bytes | None = await connection.fetchval(
        _FETCH_HEADS, tenant_id, dataset_id, entities, late_entities, late_valid_at
    )
    return rows or b""


_KNOWN_FINGERPRINTS: Final = """
WITH wanted AS MATERIALIZED (
  SELECT substring($2::bytea FROM 32 * i + 1 FOR 32) AS fingerprint
  FROM generate_series(0, octet_length($2::bytea) / 32 - 1) AS i
)
SELECT string_agg(known.fingerprint || uuid_send(known.quarantine_id), ''::bytea)
FROM wanted
CROSS JOIN LATERAL (
  SELECT record.fingerprint, record.quarantine_id FROM quarantine_record AS record
  WHERE record.tenant_id = $1 AND record.fingerprint = wanted.fingerprint
  OFFSET 0
) AS known
"""


async def known_fingerprints(connection: "Connection", tenant_id: UUID, fingerprints: bytes) -> bytes:
    """Which of `fingerprints`, 32 bytes each, wait in quarantine already. For the writer.

    Returns 48 bytes for each that does: the fingerprint and its quarantine_id.
    """
    known: bytes | None = await connection.fetchval(_KNOWN_FINGERPRINTS, tenant_id, fingerprints)
    return known or b""


# -- what a reader asks for ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AsOf:
    """The rows that one version is rebuilt from."""

    rows: bytes
    """Eleven fields each, the base first and the version itself last; empty if there was none."""
    watermark: int
    """The change up to which the answer is complete."""


_AS_OF: Final = f"""
WITH selected AS MATERIALIZED (
  SELECT log.seq, log.valid_at, log.op, log.since_base FROM entity_change_log AS log
  WHERE log.tenant_id = $1 AND log.dataset_id = $2 AND log.entity_id = $3
    AND log.valid_at <= (SELECT coalesce({_moment("$4::bigint")}, 'infinity'))
    AND log.recorded <= (SELECT coalesce({_moment("$5::bigint")}, 'infinity'))
  ORDER BY log.valid_at DESC, log.seq DESC LIMIT 1
)
SELECT clock.seq AS watermark, (
  SELECT {copy_rows(_READ_ROW, "log.valid_at, log.seq")}
  FROM selected
  CROSS JOIN LATERAL (
    SELECT * FROM entity_change_log AS log
    WHERE log.tenant_id = $1 AND log.dataset_id = $2 AND log.entity_id = $3
      AND (log.valid_at, log.seq) <= (selected.valid_at, selected.seq)
      AND (log.op <= 3 OR selected.op > 3)
    ORDER BY log.valid_at DESC, log.seq DESC
    LIMIT CASE WHEN selected.op > 3 THEN 1 ELSE selected.since_base + 1 END
  ) AS log
) AS rows
FROM tenant_clock AS clock WHERE clock.tenant_id = $1
"""  # noqa: S608 (composed of constants of this module)


async def as_of(
    connection: "Connection",
    tenant_id: UUID,
    dataset_id: int,
    entity_id: UUID,
    *,
    valid_us: int | None,
    recorded_us: int | None,
) -> AsOf:
    """The version with the greatest (valid_at, seq) within both times; None bounds nothing. For the reader.

    Raises Internal CLOCK_MISSING.
    """
    row = await connection.fetchrow(
        _AS_OF, tenant_id, dataset_id, entity_id, _bound(valid_us), _bound(recorded_us)
    )
    if row is None:
        raise _clock_missing()
    return AsOf(row["rows"] or b"", row["watermark"])


@dataclass(frozen=True, slots=True)
class VersionKey:
    """Where a version stands among its entity's."""

    valid_us: int
    seq: int


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Some versions of an entity."""

    rows: bytes
    """Eleven fields each, newest first by (valid_at, seq)."""
    chain: bytes
    """The chain rows that precede the oldest chain row of `rows`, back to its base, oldest first."""
    next: VersionKey | None
    """Where the next page begins, exclusively; None at the end."""
    watermark: int
    """The change up to which the answer is complete."""


_HISTORY: Final = f"""
WITH candidate AS MATERIALIZED (
  SELECT log.*, row_number() OVER newest_first AS number,
    sum(octet_length(log.sealed) + coalesce(octet_length(log.snapshot), 0)) OVER newest_first
      - octet_length(log.sealed) - coalesce(octet_length(log.snapshot), 0) AS bytes_before
  FROM (
    SELECT * FROM entity_change_log AS log
    WHERE log.tenant_id = $1 AND log.dataset_id = $2 AND log.entity_id = $3
      AND (log.valid_at, log.seq)
        < ((SELECT coalesce({_moment("$4::bigint")}, 'infinity')),
           (SELECT coalesce($5::bigint, 9223372036854775807)))
    ORDER BY log.valid_at DESC, log.seq DESC LIMIT $6::int + 1
  ) AS log
  WINDOW newest_first AS (ORDER BY log.valid_at DESC, log.seq DESC)
), page AS MATERIALIZED (
  SELECT * FROM candidate WHERE number <= $6 AND bytes_before < $7::bigint
), oldest_of_chain AS MATERIALIZED (
  SELECT * FROM page WHERE op <= 3 ORDER BY valid_at, seq LIMIT 1
)
SELECT clock.seq AS watermark,
  (SELECT {copy_rows(_READ_ROW, "log.valid_at DESC, log.seq DESC")} FROM page AS log) AS rows,
  (
    SELECT {copy_rows(_READ_ROW, "log.valid_at, log.seq")}
    FROM oldest_of_chain AS oldest
    CROSS JOIN LATERAL (
      SELECT * FROM entity_change_log AS log
      WHERE log.tenant_id = $1 AND log.dataset_id = $2 AND log.entity_id = $3 AND log.op <= 3
        AND (log.valid_at, log.seq) < (oldest.valid_at, oldest.seq)
      ORDER BY log.valid_at DESC, log.seq DESC LIMIT oldest.since_base
    ) AS log
  ) AS chain,
  (SELECT max(number) FROM candidate) > (SELECT max(number) FROM page) AS more,
  last.valid_us, last.seq
FROM tenant_clock AS clock
LEFT JOIN LATERAL (
  SELECT {_unix_us("valid_at")} AS valid_us, seq FROM page ORDER BY number DESC LIMIT 1
) AS last ON true
WHERE clock.tenant_id = $1
"""  # noqa: S608 (composed of constants of this module)


async def history(
    connection: "Connection",
    tenant_id: UUID,
    dataset_id: int,
    entity_id: UUID,
    *,
    before: VersionKey | None,
    limit: int,
) -> HistoryPage:
    """At most `limit` versions, newest first by (valid_at, seq), that precede `before`. For the reader.

    Raises Internal CLOCK_MISSING.
    """
    valid_us, seq = (before.valid_us, before.seq) if before is not None else (None, None)
    row = await connection.fetchrow(
        _HISTORY, tenant_id, dataset_id, entity_id, valid_us, seq, limit, PAGE_BYTES
    )
    if row is None:
        raise _clock_missing()
    following = VersionKey(row["valid_us"], row["seq"]) if row["more"] else None
    return HistoryPage(row["rows"] or b"", row["chain"] or b"", following, row["watermark"])


@dataclass(frozen=True, slots=True)
class Changes:
    """Some changes of a tenant."""

    rows: bytes
    """Eleven fields each, by seq, without snapshots."""
    resume_after_seq: int
    """The last change that was looked at, of whichever dataset."""
    watermark: int
    """The tenant's last committed change."""
    removed: int
    """Changes among those looked at that retention removed."""
    missing: int
    """Changes among those looked at of which neither a row nor a removed range is there."""


_CHANGES: Final = f"""
WITH candidate AS MATERIALIZED (
  SELECT log.*,
    sum(octet_length(log.sealed)) OVER (ORDER BY log.seq) - octet_length(log.sealed) AS bytes_before
  FROM (
    SELECT * FROM entity_change_log AS log
    WHERE log.tenant_id = $1 AND log.seq > $2
    ORDER BY log.seq LIMIT $4::int
  ) AS log
), page AS MATERIALIZED (
  SELECT * FROM candidate WHERE bytes_before < $5::bigint
), looked_at AS MATERIALIZED (
  SELECT count(*) AS rows, coalesce(max(seq), $2::bigint) AS last_row FROM page
), behind AS MATERIALIZED (
  -- No row follows the page's last one where the page has all candidates and there were fewer than asked for.
  SELECT coalesce(sum(removed.last_seq - greatest(removed.first_seq, last_row + 1) + 1), 0)::bigint AS removed
  FROM looked_at JOIN removed_range AS removed ON removed.tenant_id = $1 AND removed.last_seq > last_row
  WHERE rows < $4::int AND rows = (SELECT count(*) FROM candidate)
), reached AS MATERIALIZED (
  SELECT CASE
    WHEN behind.removed > 0 AND behind.removed = clock.seq - last_row THEN clock.seq ELSE last_row
  END AS seq
  FROM tenant_clock AS clock, looked_at, behind WHERE clock.tenant_id = $1
), gone AS MATERIALIZED (
  SELECT coalesce(sum(removed.last_seq - greatest(removed.first_seq, $2 + 1) + 1), 0)::bigint AS removed
  FROM reached JOIN removed_range AS removed
    ON removed.tenant_id = $1 AND removed.last_seq > $2 AND removed.last_seq <= reached.seq
)
SELECT clock.seq AS watermark, reached.seq AS resume_after_seq, gone.removed,
  reached.seq - $2 - looked_at.rows - gone.removed AS missing,
  (
    SELECT {copy_rows(_FEED_ROW, "log.seq")} FROM page AS log
    WHERE $3::int[] IS NULL OR log.dataset_id = ANY ($3)
  ) AS rows
FROM tenant_clock AS clock, looked_at, reached, gone WHERE clock.tenant_id = $1
"""  # noqa: S608 (composed of constants of this module)


async def changes_after(
    connection: "Connection",
    tenant_id: UUID,
    after_seq: int,
    *,
    dataset_ids: Sequence[int] | None,
    limit: int,
) -> Changes:
    """At most `limit` changes after `after_seq`, of some datasets or of all. For the reader.

    A page may hold no row and still move on: `limit` counts the rows that are looked at, and what retention removed is
    passed over. At the end `resume_after_seq` is the watermark. Raises Internal CLOCK_MISSING.
    """
    row = await connection.fetchrow(_CHANGES, tenant_id, after_seq, dataset_ids, limit, PAGE_BYTES)
    if row is None:
        raise _clock_missing()
    return Changes(
        row["rows"] or b"", row["resume_after_seq"], row["watermark"], row["removed"], row["missing"]
    )


_FIRST_MISSING: Final = """
WITH covered AS (
  SELECT seq AS first_seq, seq AS last_seq FROM entity_change_log
  WHERE tenant_id = $1 AND seq > $2 AND seq <= $3
  UNION ALL
  SELECT first_seq, last_seq FROM removed_range WHERE tenant_id = $1 AND last_seq > $2 AND first_seq <= $3
)
SELECT coalesce(min(after), $2::bigint) + 1 FROM (
  SELECT last_seq AS after, lead(first_seq) OVER (ORDER BY first_seq) AS next FROM covered
  UNION ALL
  SELECT $2, (SELECT min(first_seq) FROM covered)
) AS each WHERE next IS NULL OR next > after + 1
"""


async def first_missing(connection: "Connection", tenant_id: UUID, after_seq: int, until_seq: int) -> int:
    """The first change after `after_seq` of which neither a row nor a removed range is there. For the reader."""
    missing: int = await connection.fetchval(_FIRST_MISSING, tenant_id, after_seq, until_seq)
    return missing


def _bound(unix_us: int | None) -> int | None:
    if unix_us is None or unix_us > _LATEST_US:
        return None
    return max(unix_us, _EARLIEST_US - 1)


def _clock_missing() -> Internal:
    return Internal(
        "CLOCK_MISSING",
        "the tenant has no clock row",
        fix="create tenants through the gateway, which gives each its clock",
    )
