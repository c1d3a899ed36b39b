"""Files that only the gateway's account may read, written whole or not at all, by one process at a time."""

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from intelgraph.errors import FailedPrecondition, Unavailable

LOCK_PATIENCE_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.01


def read_private(path: Path, *, group_may_read: bool = False) -> bytes:
    """The content of a file.

    `group_may_read` allows for secrets that an orchestrator mounts. Raises FailedPrecondition KEYRING_EXPOSED
    if others may read or change it, and OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & (0o037 if group_may_read else 0o077):
            raise FailedPrecondition(
                "KEYRING_EXPOSED",
                f"other accounts may use {path} (mode {mode:04o})",
                fix=f"run `chmod 600 {path}`, and change what it protects if others could have read it",
            )
        return file.read()


def write_private(path: Path, content: bytes) -> None:
    """Replaces a file: after a crash it has the old content or the new one. The caller holds `exclusive`.

    Raises OSError; the file is then as it was.
    """
    scratch = path.with_name(f"{path.name}.new")
    scratch.unlink(missing_ok=True)  # of a process that was killed here
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Keeps every other process and thread that does the same from changing `path` meanwhile.

    The lock is on a file beside it, because `path` itself is replaced. Raises Unavailable KEYRING_BUSY after
    5 s, and OSError.
    """
    lock = path.with_name(f"{path.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _wait_for(descriptor, path)
        yield
    finally:
        os.close(descriptor)  # and with it goes the lock


def _wait_for(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise Unavailable(
                    "KEYRING_BUSY",
                    f"another process keeps {path} locked",
                    fix="try again; see which process holds the .lock file beside it if it lasts",
                    retry_after=1.0,
                ) from None
            time.sleep(_POLL_SECONDS)
        else:
            return


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
