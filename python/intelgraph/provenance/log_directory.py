"""The log as files: tiles and entry bundles of C2SP tlog-tiles, and the last signed checkpoint.

A file that is here is whole and on disk. What a signed checkpoint covers never changes; partial tiles stay until a
checkpoint covers the full one. A log that was given up lies below `forks`, and is never removed.
"""

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from intelgraph._core import sync_log_directory, write_log_files
from intelgraph.errors import Unavailable

CHECKPOINT: Final = "checkpoint"
FORKS: Final = "forks"
RETRY_SECONDS: Final = 1.0
_TILES: Final = "tile"
_PARTIALS: Final = ".p"
LARGEST_FILE: Final = 256 * (2 + 65_535)
"""Bytes of an entry bundle whose entries are all as long as they may be."""

_TILE: Final = re.compile(
    r"tile/(?:[0-9]|[1-5][0-9]|6[0-3]|entries)(?:/x[0-9]{3})*/[0-9]{3}(?:\.p/[0-9]{1,3})?"
)
_SCRATCH: Final = re.compile(r"\.(?:checkpoint|[0-9]{1,3})\.[0-9]+")
"""A file on its way: its name to be, and the process that writes it."""


class LogDirectory:
    """Reads and writes the files below one directory. Its methods block, and raise Unavailable
    LEDGER_DIRECTORY_UNUSABLE: a file that cannot be read is never taken for one that is not there.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes | None:
        """The bytes at a path of the log; None where there are none."""
        with self._faults():
            try:
                with (self.root / path).open("rb") as file:
                    return file.read(LARGEST_FILE)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def checkpoint(self) -> bytes | None:
        """The last signed checkpoint; None before the first."""
        return self.read(CHECKPOINT)

    def write(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Writes files; returns when all of them, and their names, are on disk."""
        with self._faults():
            write_log_files(self.root, [*files])

    def publish(self, checkpoint: bytes) -> None:
        """Makes it the log's checkpoint; what it covers is written."""
        self.write([(CHECKPOINT, checkpoint)])

    def drop_partials(self, paths: Iterable[str]) -> None:
        """Removes the partial tiles of those of these paths that are full tiles. Who still asks for one finds nothing
        and takes the beginning of the full one (C2SP tlog-tiles, "Partial Tiles"). What cannot be removed now is swept
        when a writer starts.
        """
        for path in paths:
            if f"{_PARTIALS}/" not in path:
                shutil.rmtree(self.root / f"{path}{_PARTIALS}", ignore_errors=True)

    def sweep(self) -> None:
        """Removes what writers left that were killed: files that never got their name, partial tiles of full ones."""
        with self._faults():
            for path in self.root.rglob(".*"):
                if _SCRATCH.fullmatch(path.name):
                    path.unlink(missing_ok=True)
            for partials in (self.root / _TILES).rglob(f"*{_PARTIALS}"):
                if partials.with_name(partials.name.removesuffix(_PARTIALS)).exists():
                    shutil.rmtree(partials, ignore_errors=True)

    def set_aside(self, name: str) -> Path | None:
        """Moves the log that is here to `forks/<name>`, and says where it is now; None where there is none. What was
        set aside under that name before stays: a second log gets a number behind it. After a crash it is done again.
        """
        moved = [self.root / each for each in (_TILES, CHECKPOINT) if (self.root / each).exists()]
        if not moved:
            return None
        with self._faults():
            target, number = self.root / FORKS / name, 1
            while (target / CHECKPOINT).exists():
                number += 1
                target = self.root / FORKS / f"{name}.{number}"
            target.mkdir(mode=0o755, parents=True, exist_ok=True)
            # The checkpoint last: as long as it is here, whoever comes next knows that it is to be moved.
            for each in moved:
                each.rename(target / each.name)
            sync_log_directory(self.root, target)
        return target

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unavailable(
                "LEDGER_DIRECTORY_UNUSABLE",
                f"{error.filename or self.root} cannot be used ({error.strerror or type(error).__name__})",
                fix="see whether its disk is there and has room, and whether the gateway's account may use it; the"
                " ledger goes on by itself",
                retry_after=RETRY_SECONDS,
            ) from error

    @staticmethod
    def is_path(path: str) -> bool:
        """Whether this is a path of a log: what is asked for from elsewhere never leaves the directory."""
        return path == CHECKPOINT or _TILE.fullmatch(path) is not None
