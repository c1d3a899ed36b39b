"""Restores a backup, into nothing: never over what is there.

Everything is put together in a directory beside the one that is to be, which gets its name when all of it is on disk; a
restore that was killed leaves no data directory, and the next one begins anew. A log directory or keyring that the
settings place elsewhere, and that survived, is newer than any backup of it: it stays, and shows where the log would
fork.
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from intelgraph.backup.bundle import sync_directory
from intelgraph.backup.taking import CHECKPOINT, DUMP, KEYRING, KEYRING_KEY, LEDGER
from intelgraph.errors import DataLoss, FailedPrecondition
from intelgraph.keys.unlocking import KEY_FILE, keyring_path
from intelgraph.provenance import log_rows
from intelgraph.provenance.log_directory import LogDirectory
from intelgraph.storage.dumping import Administrator, require_fillable, restore
from intelgraph.storage.embedded import EmbeddedServer
from intelgraph.storage.migrate import MIGRATIONS

if TYPE_CHECKING:
    from intelgraph.backup.bundle import Bundle
    from intelgraph.backup.manifest import Manifest
    from intelgraph.keys.settings import LocalKeyringSettings
    from intelgraph.provenance.settings import LedgerSettings
    from intelgraph.storage.settings import StorageSettings

Progress = Callable[[str, int, int], None]
"""Called with what is done, and bytes done and in all of it."""

_LOG_BATCH: Final = 512
"""Files that are written before they are synced."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and what was found in its place and kept."""

    data_dir: Path
    kept: tuple[Path, ...]
    has_unlock: bool
    """Whether the key file that unlocks the keyring came with it."""


class Restorer:
    """Restores into one data directory, and the database that the settings name."""

    def __init__(
        self,
        data_dir: Path,
        storage: "StorageSettings",
        keys: "LocalKeyringSettings",
        ledger: "LedgerSettings",
    ) -> None:
        self._data_dir = data_dir.absolute()
        self._staging = self._data_dir.with_name(f".{self._data_dir.name}.restoring")
        self._storage = storage
        self._keys = keys
        self._ledger = ledger
        self._kept: list[Path] = []

    async def restore(self, bundle: "Bundle", progress: Progress) -> Restored:
        """Restores a bundle that was verified.

        Raises FailedPrecondition RESTORE_TARGET_NOT_EMPTY, RESTORE_DATABASE_NOT_EMPTY, RESTORE_NEWER_GATEWAY,
        BACKUP_ROLE_MISSING or DATABASE_ROLES_MISSING, DataLoss RESTORE_DIFFERS, Unavailable DUMP_FAILED, OSError, and
        as `EmbeddedServer.start`.
        """
        _require_known(bundle.manifest)
        await asyncio.to_thread(self._require_empty)
        if not self._storage.embedded:
            await require_fillable(Administrator.of(self._storage, self._data_dir))
        await asyncio.to_thread(self._stage)
        await asyncio.to_thread(self._put_keys, bundle)
        await asyncio.to_thread(self._put_log, bundle, progress)
        with self._administrator() as administrator:
            size = next(each.size for each in bundle.manifest.files if each.path == DUMP)
            chunks = bundle.chunks(DUMP)
            await restore(administrator, chunks, size, lambda done, total: progress("database", done, total))
            await _compare(administrator, bundle.manifest)
        await asyncio.to_thread(self._name)
        return Restored(self._data_dir, tuple(self._kept), bundle.holds(KEYRING_KEY))

    def _require_empty(self) -> None:
        if not self._data_dir.exists():
            return
        if not self._data_dir.is_dir() or any(self._data_dir.iterdir()):
            raise FailedPrecondition(
                "RESTORE_TARGET_NOT_EMPTY",
                f"{self._data_dir} is not empty, and nothing is restored over what is there",
                fix="name a data directory that does not exist yet, or move this one away",
            )

    def _stage(self) -> None:
        """An empty directory; one of a restore that was killed is done away with."""
        if self._staging.exists():
            shutil.rmtree(self._staging)
        self._staging.mkdir(mode=0o700, parents=True)

    def _put_keys(self, bundle: "Bundle") -> None:
        keys = self._staging / "keys"
        keys.mkdir(mode=0o700)
        self._put(keyring_path(self._keys, keys), bundle.read(KEYRING) or b"")
        unlock = bundle.read(KEYRING_KEY)
        if unlock is not None:
            self._put(self._keys.key_file or keys / KEY_FILE, unlock)
        sync_directory(keys)

    def _put(self, path: Path, content: bytes) -> None:
        """A file that only the gateway's account may read; one that survived elsewhere stays."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            self._kept.append(path)
            return
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def _put_log(self, bundle: "Bundle", progress: Progress) -> None:
        root = self._ledger.directory_in(self._staging)
        if root.is_dir() and any(root.iterdir()):
            self._kept.append(root)
            return
        directory = LogDirectory(root)
        # The checkpoint last, as a log is written.
        paths = [path for path in bundle.below(LEDGER) if path != CHECKPOINT]
        for at in range(0, len(paths), _LOG_BATCH):
            batch = paths[at : at + _LOG_BATCH]
            directory.write((path.removeprefix(LEDGER), bundle.read(path) or b"") for path in batch)
            progress("ledger", at + len(batch), len(paths))
        note = bundle.read(CHECKPOINT)
        if note is not None:
            directory.publish(note)

    @contextmanager
    def _administrator(self) -> Iterator[Administrator]:
        """Who fills the database; the embedded server runs for as long as the block does."""
        if not self._storage.embedded:
            yield Administrator.of(self._storage, self._data_dir)
            return
        with EmbeddedServer(self._staging):
            yield Administrator.of(self._storage, self._staging)

    def _name(self) -> None:
        # What the server and its lock left; the gateway makes its own.
        shutil.rmtree(self._staging / "run", ignore_errors=True)
        sync_directory(self._staging)
        self._staging.rename(self._data_dir)
        sync_directory(self._data_dir.parent)


async def _compare(administrator: Administrator, manifest: "Manifest") -> None:
    async with administrator.connection() as connection:
        head = await log_rows.head(connection)
    if (head.origin, head.size, head.root.hex()) != (manifest.origin, manifest.log_size, manifest.log_root):
        raise DataLoss(
            "RESTORE_DIFFERS",
            "the database that was filled is not the one that the backup was taken of",
            fix="report it, with the manifest of the backup; take another backup if there is one",
        )


def _require_known(manifest: "Manifest") -> None:
    known = {path.stem for path in MIGRATIONS.glob("*.sql")}
    unknown = sorted(set(manifest.migrations) - known)
    if unknown:
        raise FailedPrecondition(
            "RESTORE_NEWER_GATEWAY",
            f"the backup was taken by gateway {manifest.version}, whose migrations {', '.join(unknown)} are unknown"
            " here",
            fix="restore it with a gateway that is at least as new",
        )
