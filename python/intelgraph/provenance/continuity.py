"""Whether the log in the database is the one that was signed, asked before anything is appended to it.

What was signed is found in the log directory, in the copies of its checkpoint, and in the database itself. A database
that was restored from a backup lacks what was signed since, and would go on from there with other entries: two logs of
one name, each with a good signature. It is recognised by any checkpoint that is not a prefix of its own.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from intelgraph._core import (
    CoreError,
    TileWriter,
    consistency_proof,
    verify_consistency,
)
from intelgraph.provenance import log_rows
from intelgraph.provenance.bundles import BUNDLE_ENTRIES, COMMITMENTS_BYTES, leaves, read_bundle

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
    """The first entry that differs, or that the database lacks."""
    signed: "Checkpoint | None"
    """The largest checkpoint that was found; None where there is none, and the entries are not what the head says."""


class Continuity:
    """Compares the database with what was signed, and brings the log directory up to the database."""

    def __init__(
        self, directory: "LogDirectory", copies: Sequence["LogDirectory"], signer: "CheckpointSigner"
    ) -> None:
        self._directory = directory
        self._copies = copies
        self._signer = signer

    async def signed(self, connection: "Connection", origin: str) -> Sequence["Checkpoint"]:
        """Every checkpoint of the log that can be found, the largest first."""
        found = [
            (str(each.root), await asyncio.to_thread(each.checkpoint))
            for each in (self._directory, *self._copies)
        ]
        found.append(("the database", await log_rows.newest_checkpoint(connection, origin)))
        opened = [await self._signer.opened(note, origin, place) for place, note in found]
        return sorted((each for each in opened if each is not None), key=lambda each: -each.size)

    async def examine(self, connection: "Connection", head: "LogHead") -> TileWriter | Fork:
        """The right edge of the log, with everything in the directory that the database has; or where they part. What
        was signed is not written over.

        Raises OSError for a directory that cannot be used, and what the database raises.
        """
        signed = await self.signed(connection, head.origin)
        start = await self._resumed(head) or TileWriter.empty()
        edge = await self._edge(connection, start, head, signed)
        if edge is None or any(each.size > head.size for each in signed):
            return await self._fork(connection, head, signed)
        if edge.size > start.size or start.size == 0:
            await self._write(connection, start, head.size)
        return edge

    async def _resumed(self, head: "LogHead") -> TileWriter | None:
        """The edge at the directory's own checkpoint; None where there is none that holds."""
        note = await asyncio.to_thread(self._directory.checkpoint)
        checkpoint = await self._signer.opened(note, head.origin, str(self._directory.root))
        if checkpoint is None or checkpoint.size > head.size:
            return None
        try:
            return await asyncio.to_thread(
                TileWriter.resume, checkpoint.size, checkpoint.root, self._directory.read
            )
        except CoreError as error:
            _log.error("tiles are damaged, and written again", extra={"why": error.args[1]})
            return None

    async def _edge(
        self, connection: "Connection", start: TileWriter, head: "LogHead", signed: Sequence["Checkpoint"]
    ) -> TileWriter | None:
        """The edge after all entries of the database; None if they are not what the head says, or what was signed."""
        edge = start.copy()
        within = [each for each in signed if each.size <= head.size]
        for each in within:
            if each.size < start.size and not await asyncio.to_thread(self._is_prefix, each, start):
                return None
        for end in sorted({each.size for each in within if each.size >= start.size} | {head.size}):
            async for page in _pages(connection, edge.size, end):
                await asyncio.to_thread(edge.append_commitments, page)
            roots = {each.root for each in within if each.size == end}
            if edge.size != end or not roots <= {edge.root}:
                return None
        return edge if edge.root == head.root else None

    async def _write(self, connection: "Connection", start: TileWriter, size: int) -> None:
        """Writes the tiles that the directory lacks. What it has of them already is the same."""
        edge = start.copy()
        async for page in _pages(connection, edge.size, size):
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

    async def _fork(self, connection: "Connection", head: "LogHead", signed: Sequence["Checkpoint"]) -> Fork:
        """The first entry that the directory has otherwise than the database, or that the database lacks."""
        largest = signed[0] if signed else None
        first = 0
        async for page in _pages(connection, 0, head.size):
            stored = leaves(page)
            for at in range(0, len(stored), BUNDLE_ENTRIES):
                written = await asyncio.to_thread(read_bundle, self._directory, first + at)
                for offset, mine in enumerate(stored[at : at + BUNDLE_ENTRIES]):
                    if offset >= len(written) or written[offset] != mine:
                        return Fork(first + at + offset, largest)
            first += len(stored)
        return Fork(first, largest)


async def _pages(connection: "Connection", first: int, end: int) -> AsyncIterator[bytes]:
    """Commitments of entries from `first` on, before `end`, page by page; ends at the first that is missing."""
    while first < end:
        wanted = min(PAGE_ENTRIES, end - first)
        page = await log_rows.commitments(connection, first, first + wanted)
        if page:
            yield page
        if len(page) != wanted * COMMITMENTS_BYTES:
            return
        first += wanted
