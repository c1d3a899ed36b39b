"""Puts together what checking the ledger takes: the gateway's database, keys and log directory, and no services."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from intelgraph.keys.checking import CheckingUnsealer
from intelgraph.keys.checkpoint_key import KeyringCheckpointKey
from intelgraph.keys.providers import open_provider
from intelgraph.keys.service import KeyService, keystore_of
from intelgraph.provenance.checkpoints import CheckpointSigner
from intelgraph.provenance.fsck.check import LedgerCheck
from intelgraph.provenance.fsck.parts import LedgerParts
from intelgraph.provenance.log_directory import LogDirectory
from intelgraph.storage.attach import attached
from intelgraph.storage.database import Database

if TYPE_CHECKING:
    from intelgraph.gateway.settings import Settings


@asynccontextmanager
async def ledger_check(settings: "Settings") -> AsyncIterator[LedgerCheck]:
    """What checks the ledger, for as long as the block runs. The gateway may run beside it.

    Raises FailedPrecondition where database or keyring cannot be used as the settings say, and Unavailable.
    """
    with attached(settings.storage, settings.data_dir) as storage:
        database = await Database.connect(storage)
        try:
            provider = await open_provider(settings.keys, settings.data_dir / "keys", database)
            keystore = keystore_of(settings.keys)
            keys = KeyService(keystore, provider, database, settings.keys)
            try:
                yield LedgerCheck(
                    LedgerParts(
                        database,
                        CheckingUnsealer(keys, keystore),
                        keystore,
                        LogDirectory(settings.ledger.directory_in(settings.data_dir)),
                        [LogDirectory(each) for each in settings.ledger.checkpoint_copies],
                        settings.ledger.witnesses,
                        CheckpointSigner(KeyringCheckpointKey(provider.keyring)),
                    )
                )
            finally:
                await keys.close()
        finally:
            await database.close()
