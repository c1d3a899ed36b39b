"""The entries: one for every index, each as it was committed to, in the order of their times."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from intelgraph._core import check_ledger_entries, keys_of_ledger_entries
from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance.bundles import COMMITMENTS_BYTES
from intelgraph.provenance.kinds import KINDS
from intelgraph.storage.copy_format import copy_row, copy_rows

if TYPE_CHECKING:
    from intelgraph.provenance.fsck.parts import LedgerParts
    from intelgraph.provenance.fsck.verdict import LedgerVerdict
    from intelgraph.provenance.log_rows import LogHead

PAGE_ENTRIES: Final = 4096

_KIND_NAMES: Final = {number: kind.KIND for number, kind in KINDS.items()}


@dataclass(frozen=True, slots=True)
class Page:
    """Entries that are all there."""

    first: int
    end: int
    commitments: bytes


async def pages(
    parts: "LedgerParts", head: "LogHead", verdict: "LedgerVerdict", *, can_open: bool
) -> AsyncIterator[Page]:
    """The entries, page by page, opened where that can be; ends at the first page that lacks one."""
    for first in range(0, head.size, PAGE_ENTRIES):
        end = min(first + PAGE_ENTRIES, head.size)
        async with parts.database.read(PLATFORM.tenant_id) as connection:
            row = await connection.fetchrow(_PAGE, first, end)
        commitments = (row and row["commitments"]) or b""
        if can_open:
            await _open(parts, (row and row["rows"]) or b"", verdict)
        await _look_at_times(parts, first, end, verdict)
        if len(commitments) != (end - first) * COMMITMENTS_BYTES:
            await _name_missing(parts, first, end, verdict)
            return
        yield Page(first, end, commitments)


async def check_end(parts: "LedgerParts", head: "LogHead", beyond: int, verdict: "LedgerVerdict") -> None:
    """Finds `beyond` entries behind the head, unless the log has grown meanwhile."""
    if not beyond:
        return
    async with parts.database.read(PLATFORM.tenant_id) as connection:
        has_grown = await connection.fetchval("SELECT size > $1 FROM ledger_log", head.size)
    if not has_grown:
        verdict.find("ENTRY_BEYOND_HEAD", f"{beyond} entries are beyond the log's head", index=head.size)


async def _open(parts: "LedgerParts", rows: bytes, verdict: "LedgerVerdict") -> None:
    owner = PLATFORM.tenant_id.bytes
    for index, message in await parts.unsealer.run(
        PLATFORM,
        keys_of_ledger_entries(rows),
        lambda: check_ledger_entries(parts.keystore, owner, rows, _KIND_NAMES),
    ):
        verdict.find("ENTRY_ALTERED", message, index=index)


async def _look_at_times(parts: "LedgerParts", first: int, end: int, verdict: "LedgerVerdict") -> None:
    async with parts.database.read(PLATFORM.tenant_id) as connection:
        rows = await connection.fetch(_NOT_LATER, first, end)
    for row in rows:
        index = row["index"]
        if row["before_fits"] and not row["it_fits"]:
            verdict.find("SEQUENCED_EARLIER", "it was sequenced before the entry before it", index=index)
        elif row["it_fits"] and not row["before_fits"]:
            verdict.find("SEQUENCED_EARLIER", "it was sequenced after the entry after it", index=index - 1)
        else:
            what = f"it was sequenced before entry {index - 1}, or that one's time was altered"
            verdict.find("SEQUENCED_EARLIER", what, index=index)


async def _name_missing(parts: "LedgerParts", first: int, end: int, verdict: "LedgerVerdict") -> None:
    async with parts.database.read(PLATFORM.tenant_id) as connection:
        rows = await connection.fetch(_MISSING, first, end, 100)
    for row in rows:
        verdict.find("ENTRY_MISSING", "there is no such entry in the database", index=row["index"])


_ROW: Final = copy_row(
    ("index", "int8"),
    ("entry_id", "uuid?"),
    ("tenant_id", "uuid?"),
    ("kind", "int2?"),
    ("subject_tag", "int8?"),
    ("commitments", "bytea"),
    ("header", "bytea"),
    ("payload", "bytea"),
)

_PAGE: Final = f"""
SELECT {copy_rows(_ROW, "index")} AS rows, string_agg(commitments, ''::bytea ORDER BY index) AS commitments
FROM ledger_entry WHERE index >= $1 AND index < $2
"""  # noqa: S608 (composed of constants)

_MISSING: Final = """
SELECT wanted.index FROM generate_series($1::bigint, $2::bigint - 1) AS wanted (index)
WHERE NOT EXISTS (SELECT FROM ledger_entry AS entry WHERE entry.index = wanted.index)
ORDER BY wanted.index LIMIT $3
"""

# Where the time is before that of the entry before: it bounds what a list shows. One of the two was altered: the one
# that does not fit to the entries on the other's sides.
_NOT_LATER: Final = """
SELECT index, it_fits, before_fits FROM (
  SELECT index, sequenced < lag(sequenced) OVER by_index AS earlier,
    coalesce(lag(sequenced, 2) OVER by_index <= sequenced, true) AS it_fits,
    coalesce(lag(sequenced) OVER by_index <= lead(sequenced) OVER by_index, true) AS before_fits
  FROM ledger_entry WHERE index >= $1 - 2 AND index <= $2 WINDOW by_index AS (ORDER BY index)
) AS entry WHERE earlier AND index >= $1 AND index < $2 ORDER BY index LIMIT 100
"""
