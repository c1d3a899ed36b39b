"""What checking the tree over a tenant's log reads: every row with its leaf, and the clock row.

Rows are as those of `change_log`, with a twelfth field after contract_id: leaf bytea. A range that retention removed is
a row of three: first_seq int8, last_seq int8, nodes bytea.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from intelgraph.errors import Internal
from intelgraph.storage.change_log import PAGE_BYTES, READ_COLUMNS
from intelgraph.storage.copy_format import copy_row, copy_rows

if TYPE_CHECKING:
    from intelgraph.storage.connection import Connection

_LEAF_ROW: Final = copy_row(*READ_COLUMNS, ("log.leaf", "bytea"))
RANGE_ROW: Final = copy_row(("first_seq", "int8"), ("last_seq", "int8"), ("nodes", "bytea"))
"""A removed range."""


@dataclass(frozen=True, slots=True)
class TreeHead:
    """The end of a log, as the clock row has it and as the rows have it."""

    seq: int
    """Last change by the clock row."""
    frontier: bytes
    """RFC 6962 frontier of its leaves."""
    last_seq: int
    """Last change that has a row; 0 without any."""


_TREE_HEAD: Final = """
SELECT clock.seq, clock.frontier, coalesce((
  SELECT log.seq FROM entity_change_log AS log WHERE log.tenant_id = $1 ORDER BY log.seq DESC LIMIT 1
), 0) AS last_seq
FROM tenant_clock AS clock WHERE clock.tenant_id = $1
"""


async def tree_head(connection: "Connection", tenant_id: UUID) -> TreeHead:
    """The end of the tenant's log. For the reader. Raises Internal CLOCK_MISSING."""
    row = await connection.fetchrow(_TREE_HEAD, tenant_id)
    if row is None:
        raise Internal(
            "CLOCK_MISSING",
            "the tenant has no clock row",
            fix="create tenants through the gateway, which gives each its clock",
        )
    return TreeHead(**row)


@dataclass(frozen=True, slots=True)
class LeafPage:
    """Some rows with their leaves."""

    rows: bytes
    """Twelve fields each, by (seq, recorded): all rows of the changes up to `last_seq`."""
    removed: bytes
    """Ranges of three fields, in order: those that retention removed before and between the rows."""
    last_seq: int
    """The last change among both."""


_LEAVES: Final = f"""
WITH candidate AS MATERIALIZED (
  SELECT log.seq, sum(log.bytes) OVER (ORDER BY log.seq, log.recorded) - log.bytes AS bytes_before
  FROM (
    SELECT log.seq, log.recorded,
      octet_length(log.sealed) + coalesce(octet_length(log.snapshot), 0) AS bytes
    FROM entity_change_log AS log
    WHERE log.tenant_id = $1 AND log.seq > $2 AND log.seq <= $3
    ORDER BY log.seq, log.recorded LIMIT $4::int
  ) AS log
), rows_page AS MATERIALIZED (
  SELECT max(seq) AS last_seq FROM candidate WHERE bytes_before < $5::bigint
), ranges AS MATERIALIZED (
  SELECT last_seq FROM removed_range WHERE tenant_id = $1 AND last_seq > $2 AND last_seq <= $3
  ORDER BY last_seq LIMIT $4::int
), page AS MATERIALIZED (
  -- As far as both were read.
  SELECT least(
    CASE WHEN count(ranges.last_seq) = $4 THEN max(ranges.last_seq) END,
    coalesce(rows_page.last_seq, greatest(max(ranges.last_seq), $2))
  ) AS last_seq
  FROM rows_page LEFT JOIN ranges ON true GROUP BY rows_page.last_seq
)
SELECT page.last_seq, (
  SELECT {copy_rows(_LEAF_ROW, "log.seq, log.recorded")}
  FROM entity_change_log AS log
  WHERE log.tenant_id = $1 AND log.seq > $2 AND log.seq <= page.last_seq
) AS rows, (
  SELECT {copy_rows(RANGE_ROW, "last_seq")}
  FROM removed_range WHERE tenant_id = $1 AND last_seq > $2 AND last_seq <= page.last_seq
) AS removed
FROM page
"""  # noqa: S608 (composed of constants of this module)


async def leaves_after(
    connection: "Connection", tenant_id: UUID, after_seq: int, until_seq: int, limit: int
) -> LeafPage | None:
    """About `limit` rows of the changes after `after_seq` up to `until_seq`, and as many removed ranges; None if there
    are neither. For the reader.
    """
    row = await connection.fetchrow(_LEAVES, tenant_id, after_seq, until_seq, limit, PAGE_BYTES)
    if row is None or row["last_seq"] == after_seq:
        return None
    return LeafPage(row["rows"] or b"", row["removed"] or b"", row["last_seq"])
