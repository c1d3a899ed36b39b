"""The real ledger: sealed under the platform's key of a keyring of the test's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest_asyncio

from intelgraph._core import Keystore
from intelgraph.keys.checkpoint_key import KeyringCheckpointKey
from intelgraph.keys.providers import open_provider
from intelgraph.keys.service import KeyService, keystore_of
from intelgraph.keys.settings import KeySettings
from intelgraph.provenance.actor import Actor
from intelgraph.provenance.checkpoints import CheckpointSigner
from intelgraph.provenance.key_entries import KeyEntries
from intelgraph.provenance.ledger import Ledger
from intelgraph.storage.database import Database

TESTER: Final = Actor("tester", "jwt")
"""Who does what the tests do."""


@dataclass(frozen=True)
class LedgerParts:
    """A ledger and the keys below it."""

    ledger: Ledger
    keystore: Keystore
    keys: KeyService
    signer: CheckpointSigner


@asynccontextmanager
async def ledger_parts(
    database: Database, key_directory: Path, *, keys_entered: bool = False
) -> AsyncIterator[LedgerParts]:
    """A ledger for as long as the block runs; without entries that no test asked for, unless `keys_entered`."""
    settings = KeySettings()
    keystore = keystore_of(settings)
    provider = await open_provider(settings, key_directory, database)
    keys = KeyService(keystore, provider, database, settings)
    try:
        signer = CheckpointSigner(KeyringCheckpointKey(provider.keyring))
        ledger = Ledger(keystore, keys)
        if keys_entered:
            keys.record_with(KeyEntries(ledger, database))
        yield LedgerParts(ledger, keystore, keys, signer)
    finally:
        await keys.close()


@pytest_asyncio.fixture
async def ledger(database: Database, tmp_path: Path) -> AsyncIterator[Ledger]:
    """A ledger on the test's database."""
    async with ledger_parts(database, tmp_path / "keys") as parts:
        yield parts.ledger
