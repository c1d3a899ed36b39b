"""Whether the log in the database is the one that was signed, asked before anything is appended to it.

What was signed is found in the log directory, in the copies of its checkpoint, and in the database itself. A database
that was restored from a backup lacks what was signed since, and would go on from there with other entries: two logs of
one name, each with a good signature. It is recognised by any checkpoint that is not a prefix of its own, and by any of
a log that followed its own after a fork was acknowledged (`origins`).

A place that cannot be read is not taken for one without a checkpoint: nothing is sequenced until it can be. What is no
checkpoint of ours, because it is cut short, forged or signed by a foreign key, proves nothing and is passed over. A
directory of another database's log is not written to.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from intelgraph._core import CoreError, TileWriter, consistency_proof, verify_consistency
from intelgraph.errors import FailedPrecondition
from intelgraph.provenance import log_rows
from intelgraph.provenance.bundles import BUNDLE_ENTRIES, COMMITMENTS_BYTES, leaves, read_bundle
from intelgraph.provenance.origins import base_of, claimed_origin, generation_of

if TYPE_CHECKING:
    from intelgraph.provenance.checkpoints import Checkpoint, CheckpointSigner
    from intelgraph.provenance.log_directory import LogDirectory
    from intelgraph.provenance.log_rows import LogHead
    from intelgraph.storage.connection import Connection

PAGE_ENTRIES: Final = 65_536
"""Entries that are read at a time; 4 MiB of commitments."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fork:
    """The log in the database is not the one that was signed."""

    index: int
    """The first entry that differs, or that the database lacks. Where the tiles that would say so are lost: the first
    that no checkpoint vouches for.
    """
    signed: "Checkpoint | None"
    """The last checkpoint that the database's log does not begin with; None where there is none, and the entries are
    not what the head says.
    """
    edge: TileWriter | None
    """The right edge of the database's own log; None where its entries are not what its head says."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to compare: a verdict holds for as long as this is the same."""

    head: "LogHead"
    notes: Sequence[tuple[str, bytes | None]]
    """Where it was looked for a checkpoint, and what was there."""


class Continuity:
    """Compares the database with what was signed, and brings the log directory up to the database."""

    def __init__(
        self, directory: "LogDirectory", copies: Sequence["LogDirectory"], signer: "CheckpointSigner"
    ) -> None:
        self._directory = directory
        self._copies = copies
        self._signer = signer

    async def found(self, connection: "Connection", head: "LogHead") -> Found:
        """What lies in all places. Raises Unavailable for one that cannot be read."""
        notes = [
            (str(each.root), await asyncio.to_thread(each.checkpoint))
            for each in (self._directory, *self._copies)
        ]
        notes.append(("the database", await log_rows.newest_checkpoint(connection, head.origin)))
        return Found(head, notes)

    async def examine(self, connection: "Connection", found: Found) -> TileWriter | Fork:
        """The right edge of the log, with everything in the directory that the database has; or where they part. What
        was signed is not written over: a log that this one followed is moved aside.

        Raises FailedPrecondition LEDGER_DIRECTORY_OF_ANOTHER_LOG, Unavailable for a directory that cannot be used, and
        what the database raises.
        """
        head = found.head
        signed = await self._signed(found)
        mine = [each for each in signed if each.origin == head.origin]
        is_behind = any(_is_after(each, head) for each in signed)
        start = None if is_behind else await self._resumed(head)
        edge = await self._by_tiles(connection, start, head, mine) if start is not None else None
        if edge is None:
            # Nobody is accused on the word of tiles that may be damaged: the database alone says what it has.
            start = TileWriter.empty()
            roots, edge = await self._roots(connection, {each.size for each in mine}, head)
            denied = [each for each in signed if _is_after(each, head) or _is_denied(each, head, roots)]
            whole = edge.size == head.size and edge.root == head.root
            if denied or not whole:
                index = await self._parting(connection, head, mine, roots, edge)
                return Fork(index, denied[0] if denied else None, edge if whole else None)
        await self.set_former_aside(head.origin)
        if start is not None and (edge.size > start.size or start.size == 0):
            await self._write(connection, start, head.size)
        return edge

    async def set_former_aside(self, origin: str) -> None:
        """Moves what is left of a log that the one of this name followed below `forks`."""
        for each in (self._directory, *self._copies):
            former = await self._signer.of_line(
                await asyncio.to_thread(each.checkpoint), origin, str(each.root)
            )
            if former is not None and former.origin != origin:
                name = f"{former.origin.replace('/', '_')}@{former.size}"
                moved = await asyncio.to_thread(each.set_aside, name)
                _log.warning("log set aside", extra={"origin": former.origin, "moved_to": str(moved)})

    async def _signed(self, found: Found) -> Sequence["Checkpoint"]:
        """Every checkpoint of the log, and of those before and after it, the last first."""
        opened = []
        for place, note in found.notes:
            claimed = claimed_origin(note) if note is not None else None
            if claimed is not None and base_of(claimed) != base_of(found.head.origin):
                raise FailedPrecondition(
                    "LEDGER_DIRECTORY_OF_ANOTHER_LOG",
                    f"{place} holds the log {claimed}, and the database's is {found.head.origin}",
                    fix="set ledger.directory and ledger.checkpoint_copies to this gateway's own directories, or move"
                    " what lies there away",
                )
            opened.append(await self._signer.of_line(note, found.head.origin, place))
        return sorted((each for each in opened if each is not None), key=_order, reverse=True)

    async def _resumed(self, head: "LogHead") -> TileWriter | None:
        """The edge at the directory's own checkpoint; None where there is none that holds."""
        note = await asyncio.to_thread(self._directory.checkpoint)
        checkpoint = await self._signer.of_line(note, head.origin, str(self._directory.root))
        if checkpoint is None or checkpoint.origin != head.origin or checkpoint.size > head.size:
            return None
        try:
            return await asyncio.to_thread(
                TileWriter.resume, checkpoint.size, checkpoint.root, self._directory.read
            )
        except CoreError as error:
            _log.error("tiles are damaged, and written again", extra={"why": error.args[1]})
            return None

    async def _by_tiles(
        self, connection: "Connection", start: TileWriter, head: "LogHead", signed: Sequence["Checkpoint"]
    ) -> TileWriter | None:
        """The edge after all entries of the database, those that the directory has taken from there; None if that is
        not what the head says, or what was signed.
        """
        edge = start.copy()
        for each in signed:
            if each.size < start.size and not await asyncio.to_thread(self._is_prefix, each, start):
                return None
        for end in sorted({each.size for each in signed if each.size >= start.size} | {head.size}):
            async for page in pages(connection, edge.size, end):
                await asyncio.to_thread(edge.append_commitments, page)
            roots = {each.root for each in signed if each.size == end}
            if edge.size != end or not roots <= {edge.root}:
                return None
        return edge if edge.root == head.root else None

    async def _roots(
        self, connection: "Connection", sizes: set[int], head: "LogHead"
    ) -> tuple[Mapping[int, bytes], TileWriter]:
        """The roots of the database's log at these sizes, as far as it goes, and its edge."""
        edge, roots = TileWriter.empty(), {}
        for end in sorted({each for each in sizes if each <= head.size} | {head.size}):
            async for page in pages(connection, edge.size, end):
                await asyncio.to_thread(edge.append_commitments, page)
            if edge.size != end:
                break
            roots[end] = edge.root
        return roots, edge

    async def _write(self, connection: "Connection", start: TileWriter, size: int) -> None:
        """Writes the tiles that the directory lacks. What it has of them already is the same."""
        edge = start.copy()
        async for page in pages(connection, edge.size, size):
            await asyncio.to_thread(self._directory.write, edge.append_commitments(page))

    def _is_prefix(self, checkpoint: "Checkpoint", edge: TileWriter) -> bool:
        if checkpoint.size == 0:
            return True
        try:
            proof = consistency_proof(checkpoint.size, edge.size, self._directory.read)
            verify_consistency(checkpoint.size, edge.size, checkpoint.root, edge.root, proof)
        except CoreError:
            return False
        return True

    async def _parting(
        self,
        connection: "Connection",
        head: "LogHead",
        signed: Sequence["Checkpoint"],
        roots: Mapping[int, bytes],
        edge: TileWriter,
    ) -> int:
        """The first entry that the directory has otherwise than the database, or that the database lacks."""
        first = 0
        async for page in pages(connection, 0, head.size):
            differs = await asyncio.to_thread(self._difference, first, leaves(page))
            if differs is not None:
                return differs
            first += len(page) // COMMITMENTS_BYTES
        # The directory has nothing otherwise; but it may lack the tiles that would show it.
        parted = [each.size for each in signed if each.size in roots and roots[each.size] != each.root]
        if parted:
            agreed = [each.size for each in signed if roots.get(each.size) == each.root]
            return max((size for size in agreed if size < min(parted)), default=0)
        return await log_rows.first_missing(connection) if edge.size < head.size else edge.size

    def _difference(self, first: int, stored: Sequence[bytes]) -> int | None:
        for at in range(0, len(stored), BUNDLE_ENTRIES):
            mine = stored[at : at + BUNDLE_ENTRIES]
            written = list(read_bundle(self._directory, first + at)[: len(mine)])
            if written != mine[: len(written)]:
                return first + at + next(n for n, leaf in enumerate(written) if leaf != mine[n])
        return None


def _order(checkpoint: "Checkpoint") -> tuple[int, int]:
    """Later logs of the line come after earlier ones, whatever their size."""
    return generation_of(checkpoint.origin), checkpoint.size


def _is_after(checkpoint: "Checkpoint", head: "LogHead") -> bool:
    """Whether it covers what the database's log does not have."""
    return _order(checkpoint) > (generation_of(head.origin), head.size)


def _is_denied(checkpoint: "Checkpoint", head: "LogHead", roots: Mapping[int, bytes]) -> bool:
    """Whether it is of this log, and the log does not begin so."""
    return checkpoint.origin == head.origin and roots.get(checkpoint.size) != checkpoint.root


async def pages(connection: "Connection", first: int, end: int) -> AsyncIterator[bytes]:
    """Commitments of entries from `first` on, before `end`, page by page; ends at the first that is missing."""
    while first < end:
        wanted = min(PAGE_ENTRIES, end - first)
        page = await log_rows.commitments(connection, first, first + wanted)
        if page:
            yield page
        if len(page) != wanted * COMMITMENTS_BYTES:
            return
        first += wanted
