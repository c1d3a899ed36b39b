"""The log as files: tiles and entry bundles of C2SP tlog-tiles, and the last signed checkpoint.

A file that is here is whole and on disk. What a signed checkpoint covers never changes; partial tiles stay until the
full one is there.
"""

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

CHECKPOINT: Final = "checkpoint"
LARGEST_FILE: Final = 256 * (2 + 65_535)
"""Bytes of an entry bundle whose entries are all as long as they may be."""

_TILE: Final = re.compile(
    r"tile/(?:[0-9]|[1-5][0-9]|6[0-3]|entries)(?:/x[0-9]{3})*/[0-9]{3}(?:\.p/[0-9]{1,3})?"
)


class LogDirectory:
    """Reads and writes the files below one directory. Its methods block."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes | None:
        """The bytes at a path of the log; None where there are none. Raises OSError for what cannot be read."""
        try:
            with (self.root / path).open("rb") as file:
                return file.read(LARGEST_FILE)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def checkpoint(self) -> bytes | None:
        """The last signed checkpoint; None before the first."""
        return self.read(CHECKPOINT)

    def write(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Writes files; returns when all of them, and their names, are on disk. Raises OSError."""
        directories = set()
        for path, content in files:
            target = self.root / path
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            _replace(target, content)
            directories.add(target.parent)
        for directory in directories:
            _sync_up(directory, self.root)

    def publish(self, checkpoint: bytes) -> None:
        """Makes it the log's checkpoint; what it covers is written."""
        self.write([(CHECKPOINT, checkpoint)])

    @staticmethod
    def is_path(path: str) -> bool:
        """Whether this is a path of a log: what is asked for from elsewhere never leaves the directory."""
        return path == CHECKPOINT or _TILE.fullmatch(path) is not None


def _replace(target: Path, content: bytes) -> None:
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with scratch.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise


def _sync_up(directory: Path, root: Path) -> None:
    """Puts the names in a directory on disk, and those of the directories above that lead to it."""
    while True:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if directory == root:
            return
        directory = directory.parent
