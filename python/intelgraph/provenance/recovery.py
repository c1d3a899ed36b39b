"""Gets a ledger going again after its database was restored from a backup that is older than what was signed.

Where the log directory still has the tiles of what was signed, the entries that the database lacks are replayed from
them: `Recovery.recover`. Their commitments come back, and every proof with them; header and payload do not, but for
entries that the restored outbox still holds. Where the tiles are lost, or the database went on by itself and has other
entries, two people acknowledge that the signed log is given up: `Recovery.acknowledge`. The database's log goes on
under the next name of its line, so that no two checkpoints of one size bear one name; the former lies below `forks`.

Both work under the sequencer's lock, and change the database in one transaction: all of it, or nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from uuid import UUID

from intelgraph._core import OutboxReplay, TileWriter
from intelgraph.errors import DataLoss, FailedPrecondition, Unavailable
from intelgraph.provenance import log_rows
from intelgraph.provenance.bundles import BUNDLE_ENTRIES, COMMITMENTS_BYTES, read_commitments
from intelgraph.provenance.continuity import Continuity, Fork
from intelgraph.provenance.kinds.ledger import ForkAcknowledged, LedgerRecovered
from intelgraph.provenance.log_rows import LogHead
from intelgraph.provenance.origins import generation_of, next_origin
from intelgraph.provenance.sequencer import LOCK

if TYPE_CHECKING:
    from intelgraph.provenance.actor import Actor
    from intelgraph.provenance.checkpoints import Checkpoint, CheckpointSigner
    from intelgraph.provenance.consents import PlatformConsents
    from intelgraph.provenance.ledger import Ledger
    from intelgraph.provenance.log_directory import LogDirectory
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database

Progress = Callable[[int, int], None]
"""Called with entries done and entries in all."""

APPROVAL_KIND: Final = "ledger.acknowledge_fork"
LOCK_PATIENCE_SECONDS: Final = 15.0
"""A gateway whose ledger is forked takes the lock for a moment, again and again."""
_PAGE_BUNDLES: Final = 256
_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Standing:
    """How the database stands to what was signed."""

    head: LogHead
    fork: Fork
    signed: "Checkpoint"

    @property
    def is_behind(self) -> bool:
        """Whether the database has nothing that was not signed, as far as the tiles show: then it can be recovered."""
        return self.fork.index == self.head.size

    def document(self) -> Mapping[str, object]:
        """What two people acknowledge."""
        return {
            "origin": self.signed.origin,
            "index": self.fork.index,
            "signed_size": self.signed.size,
            "signed_root": self.signed.root.hex(),
            "database_size": self.head.size,
            "database_root": self.head.root.hex(),
        }


@dataclass(frozen=True, slots=True)
class Recovered:
    """What `recover` did, or would do."""

    origin: str
    first_index: int
    size: int
    root: bytes
    sealed_found: int
    """Of the entries, those whose header and payload the database still had; unknown, 0, in a dry run."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What `acknowledge` did."""

    standing: Standing
    origin: str
    """Under which the log goes on."""
    set_aside: Sequence[str]
    """Where the former log lies."""


class Recovery:
    """Works on one database and its log directory, whether gateways run or not."""

    def __init__(
        self,
        database: "Database",
        directory: "LogDirectory",
        copies: Sequence["LogDirectory"],
        signer: "CheckpointSigner",
        ledger: "Ledger",
    ) -> None:
        self._database = database
        self._directory = directory
        self._copies = copies
        self._signer = signer
        self._ledger = ledger
        self._continuity = Continuity(directory, copies, signer)

    async def standing(self) -> Standing:
        """How the database stands. Raises as `recover` does for one that is not behind."""
        async with self._alone() as connection:
            return await self._standing(connection)

    async def recover(
        self,
        by: "Actor",
        *,
        approvals: "PlatformConsents",
        dry_run: bool = False,
        progress: Progress = lambda *_: None,
    ) -> Recovered:
        """Replays from the tiles what the database lacks, and has the ledger take entries again. Approvals of the
        restored database hold no more: they may have been used, denied or withdrawn since the backup.

        Raises FailedPrecondition LEDGER_NOT_FORKED, LEDGER_DIVERGED or LEDGER_TILES_LOST, DataLoss
        LEDGER_TILES_ALTERED or LEDGER_ENTRIES_DAMAGED, Unavailable LEDGER_BUSY, and as `Ledger.append`.
        """
        if not dry_run:
            await self._ledger.ready()
        async with self._alone() as connection:
            standing = await self._standing(connection)
            if not standing.is_behind:
                raise _diverged(standing)
            if dry_run:
                edge = await self._replayed(standing, None, progress)
                return Recovered(standing.signed.origin, standing.head.size, edge.size, edge.root, 0)
            async with connection.transaction():
                return await self._recover(connection, standing, by, approvals, progress)

    async def acknowledge(
        self, by: "Actor", *, approval_id: UUID | None, reason: str, approvals: "PlatformConsents"
    ) -> Acknowledged:
        """Gives the signed log up on two people's word: the database's goes on under the next name. Other approvals
        hold no more, as `recover` says.

        Raises FailedPrecondition LEDGER_NOT_FORKED, DataLoss LEDGER_ENTRIES_DAMAGED, Unavailable LEDGER_BUSY, and as
        `Approvals.consume` and `Ledger.append`.
        """
        await self._ledger.ready(2)
        async with self._alone() as connection:
            standing = await self._standing(connection)
            head, signed = standing.head, standing.signed
            last = max(head.origin, signed.origin, key=generation_of)
            after = replace(head, origin=next_origin(last), fork_index=None)
            async with connection.transaction():
                await self._move(connection, head, after)
                await approvals.consume(
                    connection,
                    approval_id=approval_id,
                    kind=APPROVAL_KIND,
                    tenant=None,
                    document=standing.document(),
                    by=by,
                )
                facts = ForkAcknowledged(
                    origin_before=signed.origin,
                    signed_size=signed.size,
                    signed_root=signed.root.hex(),
                    fork_index=standing.fork.index,
                    origin_after=after.origin,
                    approval_id=str(approval_id),
                    reason=reason,
                )
                await self._ledger.append(
                    connection, facts, subject=f"ledger:{after.origin}", by=by, tenant=None
                )
                await approvals.void_open(connection, by)
            # Whoever comes next would do the same, should this end here.
            moved = await asyncio.to_thread(self._set_aside, signed)
            await self._continuity.set_former_aside(after.origin)
            return Acknowledged(standing, after.origin, moved)

    async def _recover(
        self,
        connection: "Connection",
        standing: Standing,
        by: "Actor",
        approvals: "PlatformConsents",
        progress: Progress,
    ) -> Recovered:
        head, signed = standing.head, standing.signed
        replay = OutboxReplay(await log_rows.outbox(connection))
        now_us = await log_rows.now_us(connection)

        async def put(first: int, commitments: bytes) -> None:
            rows = await asyncio.to_thread(replay.rows, commitments, first, now_us)
            await log_rows.put_into_log(connection, rows)

        edge = await self._replayed(standing, put, progress)
        emptied = replay.emptied()
        if emptied is None:
            raise _diverged(standing)
        await log_rows.remove_from_outbox(connection, emptied)
        await self._move(connection, head, LogHead(signed.origin, edge.size, edge.root, None))
        # So that no other one of this size is ever signed.
        await log_rows.store_checkpoint(connection, signed)
        facts = LedgerRecovered(head.size, edge.size, replay.found)
        await self._ledger.append(connection, facts, subject=f"ledger:{signed.origin}", by=by, tenant=None)
        await approvals.void_open(connection, by)
        return Recovered(signed.origin, head.size, edge.size, edge.root, replay.found)

    async def _replayed(
        self,
        standing: Standing,
        put: Callable[[int, bytes], Awaitable[None]] | None,
        progress: Progress,
    ) -> TileWriter:
        """The edge of the signed log, made of the database's entries and the tiles' after them."""
        head, signed = standing.head, standing.signed
        edge = _whole(standing.fork, head).copy()
        async for page in self._pages(head.size, signed.size):
            if put is not None:
                await put(edge.size, page)
            await asyncio.to_thread(edge.append_commitments, page)
            progress(edge.size - head.size, signed.size - head.size)
        if edge.size != signed.size:
            raise FailedPrecondition(
                "LEDGER_TILES_LOST",
                f"entries {edge.size} to {signed.size - 1} were signed, and {self._directory.root} does not have them",
                fix="put the directory's files back from a mirror of the log; if there is none,"
                " `intelgraph ledger recover --acknowledge`",
            )
        if edge.root != signed.root:
            raise await asyncio.to_thread(self._judged, standing)
        return edge

    async def _pages(self, first: int, size: int) -> AsyncIterator[bytes]:
        """Commitments of the entries from `first` on, from the tiles, page by page; ends at the first that lacks."""
        while first < size:
            page = await asyncio.to_thread(self._page, first, size)
            if page:
                yield page
            count = len(page) // COMMITMENTS_BYTES
            if not count:
                return
            first += count

    def _page(self, first: int, size: int) -> bytes:
        page = b""
        start = first - first % BUNDLE_ENTRIES
        for at in range(start, min(start + _PAGE_BUNDLES * BUNDLE_ENTRIES, size), BUNDLE_ENTRIES):
            bundle = read_commitments(self._directory, at, size)
            page += bundle[max(0, first - at) * COMMITMENTS_BYTES :]
            if len(bundle) < min(BUNDLE_ENTRIES, size - at) * COMMITMENTS_BYTES:
                break
        return page

    def _judged(self, standing: Standing) -> FailedPrecondition | DataLoss:
        """Why the tiles do not follow the database: they are not what was signed, or it is not."""
        edge, signed = TileWriter.empty(), standing.signed
        while page := self._page(edge.size, signed.size) if edge.size < signed.size else b"":
            edge.append_commitments(page)
        if (edge.size, edge.root) == (signed.size, signed.root):
            return _diverged(standing)
        return DataLoss(
            "LEDGER_TILES_ALTERED",
            f"the tiles in {self._directory.root} are not those of the signed checkpoint of {signed.size} entries",
            fix="put the directory's files back from a mirror of the log; if there is none,"
            " `intelgraph ledger recover --acknowledge`",
        )

    def _set_aside(self, signed: "Checkpoint") -> Sequence[str]:
        name = f"{signed.origin.replace('/', '_')}@{signed.size}"
        moved = [each.set_aside(name) for each in (self._directory, *self._copies)]
        return [str(each) for each in moved if each is not None]

    async def _standing(self, connection: "Connection") -> Standing:
        head = await log_rows.head(connection)
        fork = await self._continuity.examine(connection, await self._continuity.found(connection, head))
        if not isinstance(fork, Fork):
            raise _not_forked()
        _whole(fork, head)
        if fork.signed is None:
            raise AssertionError("entries that are what the head says differ from no checkpoint")
        return Standing(head, fork, fork.signed)

    async def _move(self, connection: "Connection", before: LogHead, after: LogHead) -> None:
        if not await log_rows.go_on(connection, before, after):
            raise AssertionError("the log moved under the sequencer's lock")

    @asynccontextmanager
    async def _alone(self) -> "AsyncIterator[Connection]":
        """A connection that holds the sequencer's lock."""
        async with self._database.alone() as connection:
            deadline = asyncio.get_running_loop().time() + LOCK_PATIENCE_SECONDS
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
                if (await log_rows.head(connection)).fork_index is None:
                    # Whoever has it works, and would not if there were anything to recover from.
                    raise _not_forked()
                if asyncio.get_running_loop().time() > deadline:
                    raise Unavailable(
                        "LEDGER_BUSY",
                        "another process has the sequencer's lock",
                        fix="try again; see whether another `intelgraph ledger recover` runs",
                        retry_after=1.0,
                    )
                await asyncio.sleep(_POLL_SECONDS)
            yield connection


def _whole(fork: Fork, head: LogHead) -> TileWriter:
    """The edge of the database's own log. Raises DataLoss LEDGER_ENTRIES_DAMAGED."""
    if fork.edge is None:
        raise DataLoss(
            "LEDGER_ENTRIES_DAMAGED",
            f"the database's entries are not those of its own head, which counts {head.size}; the first that is"
            f" missing or differs is {fork.index}",
            fix="restore the database whole, with `intelgraph restore` or PostgreSQL's own means, and start again",
        )
    return fork.edge


def _not_forked() -> FailedPrecondition:
    return FailedPrecondition(
        "LEDGER_NOT_FORKED",
        "the ledger in the database is the one that was signed: there is nothing to recover from",
        fix="none is needed; `intelgraph ledger verify` checks the whole log",
    )


def _diverged(standing: Standing) -> FailedPrecondition:
    return FailedPrecondition(
        "LEDGER_DIVERGED",
        f"entry {standing.fork.index} of the database is not the one that was signed: both logs went on",
        fix="find out which database is the true one, and restore that; or have two people acknowledge that the signed"
        " log is given up: `intelgraph ledger recover --acknowledge`",
        metadata={"index": str(standing.fork.index)},
    )
