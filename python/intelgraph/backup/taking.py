"""Takes a backup while the gateway serves.

What is copied first is the oldest: the signed checkpoint, then the database, then the keyring. So the database has all
that the checkpoint covers, and the keyring every key that wrapped something in the database; the tiles of the
checkpoint never change. Restored, the three fit as they do after a crash, and there is nothing to recover.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from intelgraph import __version__
from intelgraph.backup.bundle import Source, exists, write_bundle
from intelgraph.backup.manifest import Manifest
from intelgraph.errors import DataLoss, FailedPrecondition, IntelGraphError
from intelgraph.keys.private_file import read_private
from intelgraph.keys.unlocking import KEY_FILE, keyring_path
from intelgraph.provenance import log_rows
from intelgraph.provenance.bundles import paths_of_log
from intelgraph.provenance.kinds.ledger import BackupTaken
from intelgraph.storage.dumping import dump

if TYPE_CHECKING:
    from intelgraph.keys.settings import LocalKeyringSettings
    from intelgraph.provenance.actor import Actor
    from intelgraph.provenance.checkpoints import Checkpoint, CheckpointSigner
    from intelgraph.provenance.ledger import Ledger
    from intelgraph.provenance.log_directory import LogDirectory
    from intelgraph.storage.database import Database
    from intelgraph.storage.dumping import Administrator

DUMP: Final = "database.dump"
KEYRING: Final = "keys/keyring.sealed"
KEYRING_KEY: Final = "keys/keyring.key"
CHECKPOINT: Final = "ledger/checkpoint"
LEDGER: Final = "ledger/"

Progress = Callable[[str, int, int], None]
"""Called with what is done, and bytes done and in all of it."""

_FACTS: Final = """
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS taken_us,
  current_setting('server_version_num')::int AS server_version,
  (SELECT array_agg(name ORDER BY name) FROM migration_checksum) AS migrations
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """A backup that was written and read back."""

    path: Path
    digest: str
    size: int
    manifest: Manifest
    unentered: str | None
    """Why the ledger has no entry of it; None where it has."""


class BackupTaker:
    """Takes backups of one gateway."""

    def __init__(
        self,
        administrator: "Administrator",
        database: "Database",
        directory: "LogDirectory",
        signer: "CheckpointSigner",
        ledger: "Ledger",
        keyring: tuple["LocalKeyringSettings", Path],
        settings_digest: str,
    ) -> None:
        """`keyring` is the settings of the keyring, and the directory where the gateway keeps its keys."""
        self._administrator = administrator
        self._database = database
        self._directory = directory
        self._signer = signer
        self._ledger = ledger
        self._keyring_settings, self._key_directory = keyring
        self._settings_digest = settings_digest

    async def take(self, target: Path, *, with_key_file: bool, by: "Actor", progress: Progress) -> Taken:
        """Writes a backup to a file that does not exist yet, and enters it in the ledger.

        Raises AlreadyExists BACKUP_EXISTS, FailedPrecondition BACKUP_KEY_FILE_MISSING, DataLoss BACKUP_LOG_DAMAGED,
        Unavailable DUMP_FAILED, OSError, and what the parts raise.
        """
        if await asyncio.to_thread(target.exists):
            raise exists(target)
        key_file = self._key_file() if with_key_file else None
        await self._ledger.ready()
        scratch = await asyncio.to_thread(_scratch, target)
        try:
            manifest, sources = await self._collected(scratch, key_file, progress)
            digest = await asyncio.to_thread(
                write_bundle, target, manifest, sources, lambda done, total: progress("writing", done, total)
            )
        finally:
            await asyncio.to_thread(shutil.rmtree, scratch)
        size = (await asyncio.to_thread(target.stat)).st_size
        facts = BackupTaken(digest, size, manifest.log_size, with_key_file)
        return Taken(target, digest, size, manifest, await self._entered(facts, by))

    async def _collected(
        self, scratch: Path, key_file: Path | None, progress: Progress
    ) -> tuple[Manifest, Sequence[Source]]:
        checkpoint = await self._checkpoint()
        dumped = scratch / DUMP
        async with (
            self._administrator.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            snapshot: str = await connection.fetchval("SELECT pg_export_snapshot()")
            head, facts = await log_rows.head(connection), await connection.fetchrow(_FACTS)
            await dump(
                self._administrator, snapshot, dumped, lambda done, total: progress("database", done, total)
            )
        keyring = keyring_path(self._keyring_settings, self._key_directory)
        sources = [
            Source(DUMP, dumped),
            Source(KEYRING, await asyncio.to_thread(read_private, keyring)),
        ]
        if key_file is not None:
            content = await asyncio.to_thread(read_private, key_file, group_may_read=True)
            sources.append(Source(KEYRING_KEY, content))
        if checkpoint is not None:
            sources += await asyncio.to_thread(self._log, checkpoint)
        files = [await asyncio.to_thread(each.entry) for each in sources]
        manifest = Manifest(
            **dict(facts or {}),
            version=__version__,
            settings=self._settings_digest,
            origin=head.origin,
            log_size=head.size,
            log_root=head.root.hex(),
            checkpoint_size=checkpoint.size if checkpoint is not None else 0,
            verifier_keys=[*await self._signer.verifier_keys(checkpoint.origin)] if checkpoint else [],
            files=files,
        )
        return manifest, sources

    async def _checkpoint(self) -> "Checkpoint | None":
        async with self._database.write() as connection:
            origin = (await log_rows.head(connection)).origin
        note = await asyncio.to_thread(self._directory.checkpoint)
        return await self._signer.of_line(note, origin, str(self._directory.root))

    def _log(self, checkpoint: "Checkpoint") -> Sequence[Source]:
        sources = [Source(CHECKPOINT, checkpoint.note)]
        for path in paths_of_log(checkpoint.size):
            place = self._directory.root / path
            if not place.is_file():
                raise DataLoss(
                    "BACKUP_LOG_DAMAGED",
                    f"{place} is missing, and the signed checkpoint of {checkpoint.size} entries covers it",
                    fix="move the log directory away and start the gateway: it writes the tiles anew from the database",
                )
            sources.append(Source(f"{LEDGER}{path}", place))
        return sources

    def _key_file(self) -> Path:
        """What unlocks the keyring, where that is a file with a key."""
        local = self._keyring_settings
        if local.passphrase is not None or local.passphrase_file is not None or local.passphrase_prompt:
            raise FailedPrecondition(
                "BACKUP_KEY_FILE_MISSING",
                "the keyring is unlocked by a passphrase, which is never put into a backup",
                fix="leave --with-key-file out, and keep the passphrase apart from the backup",
            )
        return local.key_file or self._key_directory / KEY_FILE

    async def _entered(self, facts: BackupTaken, by: "Actor") -> str | None:
        try:
            async with self._database.write() as connection:
                # A backup is what anybody should take first whose ledger is forked.
                await self._ledger.append(
                    connection,
                    facts,
                    subject=f"backup:{facts.digest}",
                    by=by,
                    tenant=None,
                    while_forked=True,
                )
        except IntelGraphError as error:
            # The backup is good whatever became of its entry.
            return error.reason
        return None


def _scratch(target: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix=".backup-", dir=target.absolute().parent))
