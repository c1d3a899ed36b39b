"""The tree over the entries: its root, the files that it makes, and the sizes of it that were signed."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from intelgraph._core import TileWriter
from intelgraph.provenance.bundles import BUNDLE_ENTRIES, COMMITMENTS_BYTES
from intelgraph.provenance.log_directory import CHECKPOINT

if TYPE_CHECKING:
    from intelgraph.provenance.checkpoints import Checkpoint
    from intelgraph.provenance.fsck.entries import Page
    from intelgraph.provenance.fsck.verdict import Finding, LedgerVerdict
    from intelgraph.provenance.log_directory import LogDirectory
    from intelgraph.provenance.log_rows import LogHead

_HASH_BYTES: Final = 32


class Tree:
    """Grows from the first entry on, held against the files and checkpoints as it does."""

    def __init__(
        self, directory: "LogDirectory", checkpoints: Sequence["Checkpoint"], verdict: "LedgerVerdict"
    ) -> None:
        """`checkpoints` by size."""
        self._directory = directory
        self._pending = list(checkpoints)
        self._verdict = verdict
        self._edge = TileWriter.empty()
        self._expected: dict[str, int] = {}
        """Files that the log has, and their lengths."""
        self._differing: dict[tuple[str, int], Finding] = {}
        """What was found of tiles that differ, by tile and place."""
        self._parted: Finding | None = None
        """What was found of the first checkpoint that differs."""

    async def take(self, page: "Page") -> None:
        """Adds the entries of the next page."""
        done, count = 0, page.end - page.first
        while done < count:
            step = min(count, self._pending[0].size - page.first if self._pending else count)
            await self._grow(
                page.commitments[done * COMMITMENTS_BYTES : step * COMMITMENTS_BYTES], page.first + done
            )
            done = step
            while self._pending and self._pending[0].size == page.first + done:
                self._compare(self._pending.pop(0))

    async def check_end(self, head: "LogHead") -> None:
        """Compares with the log's head, and every file that is there; nothing where entries are missing, for then
        there is no tree.
        """
        if self._edge.size != head.size:
            return
        self._verdict.root = self._edge.root
        if self._edge.root != head.root:
            self._verdict.find("ROOT_DIFFERS", "together the entries are not what the log's head says")
        await self._files()

    async def _grow(self, commitments: bytes, first: int) -> None:
        """Adds entries to the tree, and compares the files that they make with those that are there."""
        for path, content in await asyncio.to_thread(self._edge.append_commitments, commitments):
            self._expected[path] = len(content)
            stored = await asyncio.to_thread(self._directory.read, path)
            if stored == content:
                continue
            if stored is None:
                # Only the partial tiles of signed sizes are ever written, and of those the full one takes the place.
                if ".p/" not in path:
                    self._verdict.find("FILE_MISSING", "the file is not there", index=first, file=path)
                continue
            self._differs(path, content, stored, first)

    def _differs(self, path: str, content: bytes, stored: bytes, first: int) -> None:
        """Names a file that is not what the entries make of it. Of a tile that was written again and again as it grew,
        only the first that differs in a place: the wider ones cannot but do so too.
        """
        at = _first_difference(content, stored)
        tile = path.partition(".p/")[0]
        if at is not None and (tile, at) in self._differing:
            self._differing[tile, at].following += 1
            return
        index = _entry_at(path, at)
        found = self._verdict.find(
            "FILE_DIFFERS",
            _difference(path, content, stored, at),
            file=path,
            index=first if index is None else index,
        )
        if at is not None:
            self._differing[tile, at] = found

    def _compare(self, checkpoint: "Checkpoint") -> None:
        if checkpoint.root == self._edge.root:
            return
        if self._parted is not None:
            self._parted.following += 1  # what begins with other entries is other, however it goes on
            return
        self._parted = self._verdict.find(
            "CHECKPOINT_DIFFERS",
            f"the first {checkpoint.size} entries are not those that its checkpoint was signed over",
            index=checkpoint.size - 1,
        )

    async def _files(self) -> None:
        """Finds files that are not the log's, and partial tiles that do not begin their full one; and whether those at
        the end of the log are there.
        """
        for path in TileWriter.tiles_to_resume(self._edge.size):
            if await asyncio.to_thread(self._directory.read, path) is None:
                self._verdict.find(
                    "FILE_MISSING", "the file is not there", file=path, index=self._edge.size - 1
                )
        for path in await asyncio.to_thread(_all_files, self._directory.root):
            self._verdict.files += 1
            if path == CHECKPOINT or path in self._expected:
                continue
            fault = await asyncio.to_thread(self._partial_fault, path)
            if fault is not None:
                self._verdict.find("FILE_UNEXPECTED", fault, file=path)

    def _partial_fault(self, path: str) -> str | None:
        full, partial, width = path.partition(".p/")
        if not partial or not width.isdigit() or not 0 < int(width) < 256:
            return "it is no file of this log"
        wider = [full, *(f"{full}.p/{w}" for w in range(255, int(width), -1))]
        whole = next((each for each in wider if each in self._expected), None)
        if whole is None:
            return "it is beyond the end of the log"
        content, stored = self._directory.read(whole), self._directory.read(path)
        if content is None or stored is None or not content.startswith(stored):
            return f"it does not begin {whole}"
        return None


def _all_files(root: Path) -> list[str]:
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and "forks" not in path.relative_to(root).parts
    )


def _first_difference(content: bytes, stored: bytes) -> int | None:
    """The first byte that is another; None where one begins with the other."""
    pairs = enumerate(zip(content, stored, strict=False))
    return next((at for at, (ours, theirs) in pairs if ours != theirs), None)


def _entry_at(path: str, at: int | None) -> int | None:
    """The entry whose leaf hash has that byte in a tile of the lowest level."""
    if at is None or not path.startswith("tile/0/"):
        return None
    digits = path.removeprefix("tile/0/").partition(".p/")[0].replace("x", "").replace("/", "")
    return int(digits) * BUNDLE_ENTRIES + at // _HASH_BYTES


def _difference(path: str, content: bytes, stored: bytes, at: int | None) -> str:
    if at is None:
        return f"it has {len(stored)} bytes, and should have {len(content)}"
    return f"byte {at} of {path} is not what the entries make of it"
