"""Reads entries: those of one tenant, or, for the platform, of all.

Every entry is opened and checked against its commitments as it is read: one that was altered is refused, and
`intelgraph ledger verify` names it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from intelgraph._core import Keystore, keys_of_values, leaf, ledger_subject_tag, open_ledger_entry
from intelgraph.errors import NotFound
from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance.kinds import KINDS
from intelgraph.provenance.kinds.ledger import EntryErased

if TYPE_CHECKING:
    import asyncpg

    from intelgraph.keys.unsealing import Unsealer
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class EntryState(Enum):
    """What is left of an entry."""

    WHOLE = "whole"
    ERASED = "erased"
    """Commitments; who erased the rest, and why, another entry says."""
    RECOVERED = "recovered"
    """Commitments, from the log's tiles, after a restore."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry, opened. Header and payload are canonical JSON, empty where they are gone, as their salts."""

    index: int
    state: EntryState
    entry_id: UUID | None
    kind: str
    sequenced_us: int
    leaf: bytes
    header: bytes = b""
    payload: bytes = b""
    header_salt: bytes = b""
    payload_salt: bytes = b""
    erased_by_index: int | None = None

    @property
    def said(self) -> dict[str, Any]:
        """The header."""
        return dict(json.loads(self.header)) if self.header else {}


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries are wanted; what is unset filters nothing."""

    kinds: tuple[int, ...] = ()
    subject: str = ""
    about: UUID | None = None
    """The tenant that they are about."""
    from_us: int | None = None
    to_us: int | None = None


class EntryReader:
    """Reads for any tenant; for the platform, named by its own id, entries of all."""

    def __init__(self, database: "Database", unsealer: "Unsealer", keystore: Keystore) -> None:
        self._database = database
        self._unsealer = unsealer
        self._keystore = keystore

    async def page(
        self, reader: UUID, wanted: EntryFilter, before: int | None, limit: int
    ) -> tuple[Sequence[Entry], int | None]:
        """At most `limit` entries with a smaller index than `before`, newest first, and where the next page begins;
        None at the end. A page may hold fewer: its entries are those that `limit` rows turned out to be.
        """
        tag = None
        if wanted.subject:
            await self._unsealer.run(PLATFORM, b"", lambda: None)
            about = None if wanted.about is None else wanted.about.bytes
            tag = ledger_subject_tag(self._keystore, PLATFORM.tenant_id.bytes, about, wanted.subject)
        async with self._database.read(reader) as connection:
            first, end = await _between(connection, wanted)
            end = end if before is None else min(end, before)
            rows = await _rows(connection, wanted, tag, first, end, limit)
        entries = [entry for entry in await self._opened(rows) if _is_meant(entry, wanted)]
        return entries, rows[-1]["index"] if len(rows) == limit else None

    async def get(self, reader: UUID, index: int) -> Entry:
        """One entry. Raises NotFound LEDGER_ENTRY_NOT_FOUND where there is none, or it is not the reader's."""
        async with self._database.read(reader) as connection:
            rows = await connection.fetch(_ONE, index)
        if not rows:
            raise NotFound(
                "LEDGER_ENTRY_NOT_FOUND",
                f"there is no entry {index} that you may see",
                fix="`intelgraph ledger list` shows what there is; the platform tenant sees the entries of all",
            )
        (entry,) = await self._opened(rows)
        return entry

    async def after(
        self, reader: UUID, first: int, kinds: Sequence[int], limit: int
    ) -> tuple[Sequence[Entry], int]:
        """At most `limit` entries from index `first` on, oldest first, and the index behind what was looked at."""
        async with self._database.read(reader) as connection:
            size: int = await connection.fetchval("SELECT size FROM ledger_log")
            rows = await connection.fetch(_AFTER, first, size, list(kinds) or None, limit)
        seen = rows[-1]["index"] + 1 if len(rows) == limit else max(size, first)
        return await self._opened(rows), seen

    async def size(self) -> int:
        """Entries that have an index."""
        async with self._database.read(PLATFORM.tenant_id) as connection:
            size: int = await connection.fetchval("SELECT size FROM ledger_log")
        return size

    async def _opened(self, rows: Sequence["asyncpg.Record"]) -> Sequence[Entry]:
        whole = [row for row in rows if row["header"] is not None]
        keys = keys_of_values([value for row in whole for value in (row["header"], row["payload"])])
        entries = await self._unsealer.run(PLATFORM, keys, lambda: [self._entry(row) for row in rows])
        return [
            await self._with_erasure(entry) if entry.state is EntryState.ERASED else entry
            for entry in entries
        ]

    def _entry(self, row: "asyncpg.Record") -> Entry:
        commitments = row["commitments"]
        gone = EntryState.RECOVERED if row["erased_by"] is None else EntryState.ERASED
        entry = Entry(
            row["index"],
            gone if row["header"] is None else EntryState.WHOLE,
            row["entry_id"],
            KINDS[row["kind"]].KIND if row["kind"] in KINDS else "",
            row["sequenced_us"],
            leaf(commitments[:32], commitments[32:]),
        )
        if row["header"] is None:
            return entry
        owner, entry_id = PLATFORM.tenant_id.bytes, row["entry_id"].bytes
        opened = open_ledger_entry(
            self._keystore, owner, entry_id, commitments, row["header"], row["payload"]
        )
        header, header_salt, payload, payload_salt = opened
        return replace(
            entry, header=header, header_salt=header_salt, payload=payload, payload_salt=payload_salt
        )

    async def _with_erasure(self, entry: Entry) -> Entry:
        """The entry with the index of the one that says who erased it, and why."""
        owner = PLATFORM.tenant_id
        tag = ledger_subject_tag(self._keystore, owner.bytes, None, erasure_subject(entry.index))
        async with self._database.read(owner) as connection:
            index = await connection.fetchval(_ERASURE, tag, EntryErased.NUMBER)
        return replace(entry, erased_by_index=index)


def erasure_subject(index: int) -> str:
    """What the entry is about that says who erased entry `index`."""
    return f"entry:{index}"


def _is_meant(entry: Entry, wanted: EntryFilter) -> bool:
    """Two subjects may share a tag: the header says which it is. A time is exact only here."""
    return (
        (not wanted.subject or entry.said.get("subject") == wanted.subject)
        and (wanted.from_us is None or entry.sequenced_us >= wanted.from_us)
        and (wanted.to_us is None or entry.sequenced_us < wanted.to_us)
    )


def _time(unix_us: int | None) -> datetime | None:
    return None if unix_us is None else _EPOCH + timedelta(microseconds=unix_us)


_COLUMNS: Final = """
index, entry_id, kind, commitments, header, payload, erased_by,
(extract(epoch FROM sequenced) * 1000000)::bigint AS sequenced_us
"""

_ONE: Final = f"SELECT {_COLUMNS} FROM ledger_entry WHERE index = $1"  # noqa: S608 (composed of constants)

_AFTER: Final = f"""
SELECT {_COLUMNS} FROM ledger_entry
WHERE index >= $1 AND index < $2 AND ($3::smallint[] IS NULL OR kind = ANY ($3)) ORDER BY index LIMIT $4
"""  # noqa: S608 (composed of constants)

_OF_SUBJECT: Final = f"""
SELECT {_COLUMNS} FROM ledger_entry
WHERE subject_tag = $1 AND index >= $2 AND index < $3 AND ($5::smallint[] IS NULL OR kind = ANY ($5))
ORDER BY index DESC LIMIT $4
"""  # noqa: S608 (composed of constants)

_OF_ALL: Final = f"""
SELECT {_COLUMNS} FROM ledger_entry WHERE index >= $1 AND index < $2 ORDER BY index DESC LIMIT $3
"""  # noqa: S608 (composed of constants)

# Kind by kind, because then each walks its own end of the index.
_OF_KINDS: Final = f"""
SELECT {_COLUMNS} FROM (
  SELECT entry.* FROM unnest($4::smallint[]) AS wanted (kind)
  CROSS JOIN LATERAL (
    SELECT * FROM ledger_entry AS entry
    WHERE entry.kind = wanted.kind AND entry.index >= $1 AND entry.index < $2
    ORDER BY entry.index DESC LIMIT $3
  ) AS entry
) AS entry ORDER BY index DESC LIMIT $3
"""  # noqa: S608 (composed of constants)

_OF_TENANT: Final = f"""
SELECT {_COLUMNS} FROM (
  SELECT entry.* FROM unnest($4::smallint[]) AS wanted (kind)
  CROSS JOIN LATERAL (
    SELECT * FROM ledger_entry AS entry
    WHERE entry.tenant_id = $5 AND entry.kind = wanted.kind AND entry.index >= $1 AND entry.index < $2
    ORDER BY entry.index DESC LIMIT $3
  ) AS entry
) AS entry ORDER BY index DESC LIMIT $3
"""  # noqa: S608 (composed of constants)

_ERASURE: Final = "SELECT index FROM ledger_entry WHERE subject_tag = $1 AND kind = $2 ORDER BY index LIMIT 1"

# A checkpoint was signed after its last entry was sequenced, and before the next one was.
_BETWEEN: Final = """
SELECT coalesce((
  SELECT size FROM ledger_checkpoint AS signed
  WHERE signed.origin = log.origin AND signed.signed_at < $1::timestamptz ORDER BY signed.signed_at DESC LIMIT 1
), 0) AS first, coalesce((
  SELECT size FROM ledger_checkpoint AS signed
  WHERE signed.origin = log.origin AND signed.signed_at >= $2::timestamptz ORDER BY signed.signed_at LIMIT 1
), log.size) AS end
FROM ledger_log AS log
"""


async def _between(connection: "Connection", wanted: EntryFilter) -> tuple[int, int]:
    """Between which indexes the entries of the wanted time are; some at the ends may be of another time."""
    row = await connection.fetchrow(_BETWEEN, _time(wanted.from_us), _time(wanted.to_us))
    return (0, 0) if row is None else (row["first"], row["end"])


async def _rows(
    connection: "Connection", wanted: EntryFilter, tag: int | None, first: int, end: int, limit: int
) -> Sequence["asyncpg.Record"]:
    kinds = list(wanted.kinds)
    if tag is not None:
        return await connection.fetch(_OF_SUBJECT, tag, first, end, limit, kinds or None)
    if wanted.about is not None:
        return await connection.fetch(_OF_TENANT, first, end, limit, kinds or list(KINDS), wanted.about)
    if kinds:
        return await connection.fetch(_OF_KINDS, first, end, limit, kinds)
    return await connection.fetch(_OF_ALL, first, end, limit)
