"""The keyring on disk, shared by the processes of one gateway.

A change is made under a lock, on what the file holds at that moment, and counts once the file is replaced and
synced. Everyone else notices by the file's stamp and reads it again.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from intelgraph._core import CoreError, LocalKeyring, Unlock
from intelgraph.errors import FailedPrecondition
from intelgraph.keys.private_file import exclusive, read_private, write_private

_RESTORE: Final = "restore the file from a backup; without it, what its keys wrapped is lost"

_FIXES: Final = {
    "KEYRING_FORMAT_UNKNOWN": "set keys.local.path to the keyring that the gateway made",
    "KEYRING_VERSION_UNKNOWN": "start a gateway that is at least as new as the one that wrote the keyring",
    "KEYRING_TRUNCATED": _RESTORE,
    "KEYRING_CORRUPT": _RESTORE,
    "KEYRING_PARAMETERS": _RESTORE,
    "KEYRING_UNLOCK_KIND": "give what it was made with: keys.local.passphrase or keys.local.key_file",
    "KEYRING_UNLOCK_WRONG": "give the passphrase or key file that the keyring was made with",
    "KEYRING_UNLOCK_UNFIT": "give a passphrase that is not empty, or a key file of exactly 32 bytes",
    "KEYRING_MEMORY": "free some memory: unlocking by a passphrase takes 64 MiB for a moment",
}


class _Stamp(NamedTuple):
    """Tells two contents of a file apart without reading them: it is replaced, never written in place."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


class KeyringFile:
    """An unlocked keyring that follows its file. Its methods block, and may be called by any thread."""

    def __init__(self, path: Path, unlock: Unlock) -> None:
        self._path = path
        self._unlock = unlock
        self._using = threading.Lock()
        self._read: tuple[_Stamp, LocalKeyring] | None = None

    @classmethod
    def create(cls, path: Path, unlock: Unlock) -> None:
        """Writes an empty keyring. The caller holds `exclusive(path)`.

        Raises FailedPrecondition KEYRING_UNLOCK_UNFIT or KEYRING_MEMORY, and OSError.
        """
        with _refusals(path):
            write_private(path, LocalKeyring.create(unlock).seal())

    @contextmanager
    def reading(self) -> Iterator[LocalKeyring]:
        """The keyring as the file is now, for a moment.

        Raises FailedPrecondition with a reason that begins with KEYRING, and OSError.
        """
        with self._using:
            yield self._current()

    @contextmanager
    def changing(self) -> Iterator[LocalKeyring]:
        """The keyring as the file is now, to be changed by the block and by nobody else meanwhile.

        When the block ends, the change is on disk. If it raises, nothing has changed. Raises as `reading`,
        and Unavailable KEYRING_BUSY.
        """
        with exclusive(self._path), self._using:
            keyring = self._current()
            # What is not on disk must not wrap anything: should writing fail, it is read again.
            self._read = None
            yield keyring
            with _refusals(self._path):
                write_private(self._path, keyring.seal())
            self._read = (self._stamp(), keyring)

    def _current(self) -> LocalKeyring:
        stamp = self._stamp()
        if self._read is None or self._read[0] != stamp:
            with _refusals(self._path):
                # Should it be replaced between the stamp and this, it is read once more next time.
                self._read = (stamp, LocalKeyring.open(read_private(self._path), self._unlock))
        return self._read[1]

    def _stamp(self) -> _Stamp:
        status = self._path.stat()
        return _Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Says in the gateway's terms why the core does not open a keyring."""
    try:
        yield
    except CoreError as error:
        message, reason = error.args[:2]
        if reason not in _FIXES:
            raise
        raise FailedPrecondition(reason, f"{path}: {message}", fix=_FIXES[reason]) from None
