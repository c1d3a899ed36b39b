"""The log in the database: its end, the entries behind it, the outbox before it, the checkpoints of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from intelgraph.errors import Internal
from intelgraph.storage.copying import copy_rows

if TYPE_CHECKING:
    from intelgraph.provenance.checkpoints import Checkpoint
    from intelgraph.storage.connection import Connection


@dataclass(frozen=True, slots=True)
class LogHead:
    """The end of the log."""

    origin: str
    size: int
    root: bytes
    fork_index: int | None
    """Where the log here differs from the one that was signed; None where it does not."""


_HEAD: Final = "SELECT origin, size, root, fork_index FROM ledger_log"


async def head(connection: "Connection") -> LogHead:
    """The end of the log. For both roles."""
    row = await connection.fetchrow(_HEAD)
    if row is None:
        raise Internal(
            "LEDGER_HEAD_MISSING", "the ledger has no head", fix="restore the database from a backup"
        )
    return LogHead(**row)


_ENTRY_COLUMNS: Final = (
    "index",
    "sequenced",
    "entry_id",
    "tenant_id",
    "kind",
    "subject_tag",
    "commitments",
    "header",
    "payload",
)
"""As the core writes them (crates/pipeline/src/ledger_outbox.rs)."""


async def put_into_outbox(connection: "Connection", entries: int, packed: bytes) -> None:
    """Puts the entries of one act there. For the writer, in the transaction of the act."""
    await connection.execute("INSERT INTO ledger_outbox (entries, packed) VALUES ($1, $2)", entries, packed)


@dataclass(frozen=True, slots=True)
class Taken:
    """Entries that left the outbox, packed, in order, and the time at which they enter the log."""

    packed: bytes
    sequenced_us: int


# The entries of one act are taken together.
_TAKE: Final = """
WITH taken AS MATERIALIZED (
  SELECT id FROM (
    SELECT id, sum(entries) OVER (ORDER BY id) - entries AS before FROM ledger_outbox ORDER BY id LIMIT $1::int
  ) AS first WHERE before < $1
), moved AS (
  DELETE FROM ledger_outbox AS outbox USING taken WHERE outbox.id = taken.id RETURNING outbox.id, outbox.packed
), log AS (
  UPDATE ledger_log SET sequenced = greatest(clock_timestamp(), sequenced)
  WHERE EXISTS (SELECT FROM taken) RETURNING sequenced
)
SELECT (SELECT string_agg(packed, ''::bytea ORDER BY id) FROM moved) AS packed,
  (extract(epoch FROM log.sequenced) * 1000000)::bigint AS sequenced_us
FROM log
"""


async def take_outbox(connection: "Connection", most: int) -> Taken | None:
    """Takes the first entries out of the outbox: about `most`, and all of the last act's; None where it is empty. For
    the sequencer, in a transaction that puts them into the log and moves the head.
    """
    row = await connection.fetchrow(_TAKE, most)
    return None if row is None else Taken(**row)


async def put_into_log(connection: "Connection", rows: bytes) -> None:
    """Puts entries there, with their indexes: a COPY stream of the core's. For whoever holds the sequencer's lock, in a
    transaction that moves the head too.
    """
    await copy_rows(connection, "ledger_entry", _ENTRY_COLUMNS, [rows])


async def move_head(connection: "Connection", before: int, size: int, root: bytes) -> bool:
    """Sets the log's end, unless somebody else moved it meanwhile. For the sequencer."""
    done: str = await connection.execute(
        "UPDATE ledger_log SET size = $2, root = $3 WHERE size = $1", before, size, root
    )
    return done == "UPDATE 1"


_COMMITMENTS: Final = """
SELECT string_agg(commitments, ''::bytea ORDER BY index) FROM ledger_entry WHERE index >= $1 AND index < $2
"""


async def commitments(connection: "Connection", first: int, end: int) -> bytes:
    """Those of entries from `first` on, before `end`, 64 bytes each. For the writer."""
    found: bytes | None = await connection.fetchval(_COMMITMENTS, first, end)
    return found or b""


async def first_missing(connection: "Connection") -> int:
    """The first index that has no entry; that behind the last where there is no gap. Reads all of them."""
    index: int = await connection.fetchval(
        "SELECT coalesce(min(place) FILTER (WHERE index <> place), count(*))"
        " FROM (SELECT index, row_number() OVER (ORDER BY index) - 1 AS place FROM ledger_entry) AS entry"
    )
    return index


async def store_checkpoint(connection: "Connection", checkpoint: "Checkpoint") -> bytes:
    """Keeps a checkpoint; gives the note of that size that is kept, which may be one that was signed before."""
    note: bytes = await connection.fetchval(
        """
        WITH added AS (
          INSERT INTO ledger_checkpoint (origin, size, root, note) VALUES ($1, $2, $3, $4)
          ON CONFLICT (origin, size) DO NOTHING RETURNING note
        )
        SELECT note FROM added
        UNION ALL
        SELECT note FROM ledger_checkpoint WHERE origin = $1 AND size = $2
        LIMIT 1
        """,
        checkpoint.origin,
        checkpoint.size,
        checkpoint.root,
        checkpoint.note,
    )
    return note


async def newest_checkpoint(connection: "Connection", origin: str) -> bytes | None:
    """The note of the largest size that was signed. For both roles."""
    note: bytes | None = await connection.fetchval(
        "SELECT note FROM ledger_checkpoint WHERE origin = $1 ORDER BY size DESC LIMIT 1", origin
    )
    return note


async def checkpoint_of(connection: "Connection", origin: str, size: int) -> bytes | None:
    """The note of that size; None if none was signed. For both roles."""
    note: bytes | None = await connection.fetchval(
        "SELECT note FROM ledger_checkpoint WHERE origin = $1 AND size = $2", origin, size
    )
    return note


async def store_cosignature(
    connection: "Connection", origin: str, size: int, witness: str, line: str
) -> None:
    """Keeps a witness's signature; the first of a size stays. For the writer."""
    await connection.execute(
        "INSERT INTO ledger_cosignature (origin, size, witness, line) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT DO NOTHING",
        origin,
        size,
        witness,
        line,
    )


async def cosignatures(connection: "Connection", origin: str, size: int) -> Sequence[tuple[str, str]]:
    """Witnesses' names and signature lines for the checkpoint of that size, by name. For both roles."""
    rows = await connection.fetch(
        "SELECT witness, line FROM ledger_cosignature WHERE origin = $1 AND size = $2 ORDER BY witness",
        origin,
        size,
    )
    return [(row["witness"], row["line"]) for row in rows]


async def is_waiting(connection: "Connection") -> bool:
    """Whether anything waits. For both roles."""
    found: bool = await connection.fetchval("SELECT EXISTS (SELECT FROM ledger_outbox)")
    return found


async def waiting(connection: "Connection") -> int:
    """Entries that are committed and have no index yet. For both roles."""
    count: int = await connection.fetchval("SELECT coalesce(sum(entries), 0) FROM ledger_outbox")
    return count


async def set_fork(connection: "Connection", index: int | None) -> None:
    """Says from which entry on the log here is not the one that was signed; None that it is. For the sequencer."""
    await connection.execute("UPDATE ledger_log SET fork_index = $1", index)


async def outbox(connection: "Connection") -> Sequence[tuple[int, bytes]]:
    """All that waits: id and packed entries of each act, in order. For the writer."""
    rows = await connection.fetch("SELECT id, packed FROM ledger_outbox ORDER BY id")
    return [(row["id"], row["packed"]) for row in rows]


async def remove_from_outbox(connection: "Connection", ids: Sequence[int]) -> None:
    """Takes acts out whose entries are in the log. For whoever holds the sequencer's lock."""
    await connection.execute("DELETE FROM ledger_outbox WHERE id = ANY ($1::bigint[])", ids)


async def now_us(connection: "Connection") -> int:
    """When what enters the log now is sequenced: never before what is in it."""
    us: int = await connection.fetchval(
        "SELECT (extract(epoch FROM greatest(clock_timestamp(), sequenced)) * 1000000)::bigint FROM ledger_log"
    )
    return us


async def go_on(connection: "Connection", before: LogHead, after: LogHead) -> bool:
    """Sets origin, size and root of the log, and that it is not forked, unless somebody moved it meanwhile. For
    whoever holds the sequencer's lock.
    """
    done: str = await connection.execute(
        "UPDATE ledger_log SET origin = $3, size = $4, root = $5, fork_index = NULL,"
        " sequenced = greatest(clock_timestamp(), sequenced) WHERE origin = $1 AND size = $2",
        before.origin,
        before.size,
        after.origin,
        after.size,
        after.root,
    )
    return done == "UPDATE 1"
