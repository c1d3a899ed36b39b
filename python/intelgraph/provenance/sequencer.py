"""The sequencer: gives entries their index, writes the log's tiles, signs its checkpoints. One per database.

Every gateway runs one, and the one that holds an advisory lock works; when its connection ends, another takes over
within a second. A round goes from one place that is safe to stand to the next:

1. the outbox's entries enter the log, and its head moves, in one transaction on the connection that holds the lock;
2. tiles and bundles of what is committed are written and synced: so no file ever holds what may be undone;
3. the checkpoint is signed, and kept in the database: one for a size, whatever happens after;
4. it is published in the directory, and in the copies beyond the database's reach.

After a crash anywhere the next holder begins by comparing the three (`continuity`), and does what is left to do.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Final

from intelgraph._core import sequence_ledger_entries
from intelgraph.errors import IntelGraphError, causes_of
from intelgraph.provenance import log_rows, metrics
from intelgraph.provenance.continuity import Continuity, Fork, Found

if TYPE_CHECKING:
    from intelgraph._core import TileWriter
    from intelgraph.provenance.checkpoints import Checkpoint, CheckpointSigner
    from intelgraph.provenance.log_directory import LogDirectory
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database

LOCK: Final = int.from_bytes(b"igledger")
"""Key of the advisory lock; any number that nobody else uses in this database."""
MOST_ENTRIES: Final = 16_384
"""Entries of one round, and what is left of the last act."""
PAUSE_SECONDS: Final = 0.1
"""Between rounds that found nothing."""
TAKE_OVER_SECONDS: Final = 1.0
"""How often one that does not work asks for the lock, and one that was stopped by a fork looks again."""

_log = logging.getLogger(__name__)


class Step(Enum):
    """Where a round stands. A crash behind any of them loses nothing and repeats nothing."""

    TAKEN = "taken"
    """The entries have an index in a transaction that is not committed."""
    COMMITTED = "committed"
    WRITTEN = "written"
    """Their tiles are on disk."""
    SIGNED = "signed"
    STORED = "stored"
    """The checkpoint is in the database."""
    PUBLISHED = "published"
    """It is the directory's."""
    COPIED = "copied"


def _pass(_: Step) -> None:
    """No test is interested."""


class Sequencer:
    """Sequences for as long as it runs and holds the lock."""

    def __init__(
        self,
        database: "Database",
        directory: "LogDirectory",
        copies: Sequence["LogDirectory"],
        signer: "CheckpointSigner",
        reached: Callable[[Step], None] = _pass,
    ) -> None:
        """`reached` is called behind each step."""
        self._database = database
        self._directory = directory
        self._copies = copies
        self._signer = signer
        self._reached = reached
        self._continuity = Continuity(directory, copies, signer)
        self._forked: Found | None = None
        """What was found when the log was last refused: the verdict stands until that changes."""
        self._published = b""
        """The last checkpoint, without cosignatures."""
        self._examined = asyncio.Event()
        self._stopping = asyncio.Event()
        self._looked_after = 0.0
        """When it is looked again at what is published, on the loop's clock."""
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins. Returns when the log was compared with what was signed, by whoever holds the lock."""
        self._task = asyncio.create_task(self._run(), name="ledger sequencer")
        await self._examined.wait()

    async def stop(self) -> None:
        """Ends, after a last round for what is committed."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                async with self._database.alone() as connection:
                    if await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
                        await self._work(connection)
            except IntelGraphError as error:
                _log.warning("ledger not sequenced", extra={"why": error.reason, "what": error.message})
            except Exception as error:
                # Whatever it was, the next attempt begins by comparing what there is.
                _log.exception("ledger not sequenced", extra={"causes": causes_of(error)})
            self._examined.set()
            await self._pause(TAKE_OVER_SECONDS)

    async def _work(self, connection: "Connection") -> None:
        """Works under the lock until it is stopped; returns where the log would fork, and where somebody else wrote to
        what is published.
        """
        head = await log_rows.head(connection)
        found = await self._continuity.found(connection, head)
        if found == self._forked:
            return
        edge = await self._continuity.examine(connection, found)
        if isinstance(edge, Fork):
            await self._refuse(connection, head, edge)
            self._forked = replace(found, head=replace(head, fork_index=edge.index))
            return
        self._forked = None
        if head.fork_index is not None:
            _log.info("ledger no longer forked")
            await log_rows.set_fork(connection, None)
        metrics.FORKED.set(0)
        await asyncio.to_thread(self._directory.sweep)
        if edge.size:
            await self._conclude(connection, head.origin, edge)
        self._examined.set()
        while True:
            stopping = self._stopping.is_set()
            edge, taken = await self._round(connection, head.origin, edge)
            if taken < MOST_ENTRIES:
                if stopping:
                    return
                if not await self._is_published(connection, head.origin, edge.size):
                    return
                await self._pause(PAUSE_SECONDS)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _round(
        self, connection: "Connection", origin: str, edge: "TileWriter"
    ) -> tuple["TileWriter", int]:
        if not await log_rows.is_waiting(connection):
            return edge, 0
        after = edge.copy()
        async with connection.transaction():
            outbox = await log_rows.take_outbox(connection, MOST_ENTRIES)
            if outbox is None:
                return edge, 0
            files, rows = await asyncio.to_thread(_appended, after, outbox)
            await log_rows.put_into_log(connection, rows)
            if not await log_rows.move_head(connection, edge.size, after.size, after.root):
                raise AssertionError("the log moved under the sequencer's lock")
            self._reached(Step.TAKEN)
        self._reached(Step.COMMITTED)
        await asyncio.to_thread(self._directory.write, files)
        self._reached(Step.WRITTEN)
        await self._conclude(connection, origin, after)
        await asyncio.to_thread(self._directory.drop_partials, [path for path, _ in files])
        metrics.SEQUENCED.inc(after.size - edge.size)
        return after, after.size - edge.size

    async def _conclude(self, connection: "Connection", origin: str, edge: "TileWriter") -> None:
        """Signs and publishes the checkpoint of a tree that is committed and written."""
        signed = await self._signer.sign(origin, edge.size, edge.root)
        self._reached(Step.SIGNED)
        note = await log_rows.store_checkpoint(connection, signed)
        self._published = note
        self._reached(Step.STORED)
        await asyncio.to_thread(self._directory.publish, note)
        self._reached(Step.PUBLISHED)
        for copy in self._copies:
            await asyncio.to_thread(copy.publish, note)
        self._reached(Step.COPIED)
        metrics.SIZE.set(edge.size)

    async def _is_published(self, connection: "Connection", origin: str, size: int) -> bool:
        """Adds what witnesses signed meanwhile to the published checkpoint. False where another one was published
        since: by a sequencer that was held up with this in hand while it lost the lock, or by somebody who should not.
        """
        now = asyncio.get_running_loop().time()
        if now < self._looked_after or not size:
            return True
        self._looked_after = now + TAKE_OVER_SECONDS
        for each in (self._directory, *self._copies):
            lies_there = await asyncio.to_thread(each.checkpoint)
            if lies_there is None or not lies_there.startswith(self._published):
                _log.warning("checkpoint replaced by another", extra={"found_in": str(each.root)})
                return False
        lines = [line for _, line in await log_rows.cosignatures(connection, origin, size)]
        cosigned = self._published + b"".join(line.encode() for line in lines)
        if lines and await asyncio.to_thread(self._directory.checkpoint) != cosigned:
            await asyncio.to_thread(self._directory.publish, cosigned)
        return True

    async def _refuse(self, connection: "Connection", head: log_rows.LogHead, fork: Fork) -> None:
        metrics.FORKED.set(1)
        signed: Checkpoint | None = fork.signed
        if head.fork_index != fork.index:
            await log_rows.set_fork(connection, fork.index)
            _log.error(
                "the ledger would fork: nothing is appended to it",
                extra={
                    "index": fork.index,
                    "database_size": head.size,
                    "signed_size": None if signed is None else signed.size,
                    "fix": "intelgraph ledger recover",
                },
            )


def _appended(edge: "TileWriter", outbox: log_rows.Taken) -> tuple[Sequence[tuple[str, bytes]], bytes]:
    """Adds entries to a tree: the files that change, and the entries' rows in the log."""
    commitments, rows = sequence_ledger_entries(outbox.packed, edge.size, outbox.sequenced_us)
    return edge.append_commitments(commitments), rows
