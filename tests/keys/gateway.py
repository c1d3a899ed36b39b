"""The key side of one gateway process."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from intelgraph._core import Keystore
from intelgraph.keys.keyring_file import KeyringFile
from intelgraph.keys.providers import open_provider
from intelgraph.keys.service import KeyOwner, KeyService, keystore_of
from intelgraph.keys.settings import KeySettings
from intelgraph.keys.unlocking import keyring_path, unlock_existing
from intelgraph.storage.database import Database
from intelgraph.storage.settings import StorageSettings
from tests.keys.faulty_kms import FaultyKms


@dataclass(slots=True)
class Gateway:
    """What a gateway's code uses, and the KMS behind it."""

    keystore: Keystore
    kms: FaultyKms
    settings: KeySettings
    endings: list[float] = field(default_factory=list)
    """When `on_revoked` was called."""
    keys: KeyService = field(init=False)

    def slot(self, tenant: KeyOwner, messages: int = 1) -> str:
        """What a batch would find."""
        return self.keystore.seal_slot(tenant.tenant_id.bytes, messages)

    def lease(self, tenant: KeyOwner) -> int | None:
        return self.keystore.lease(tenant.tenant_id.bytes)


@asynccontextmanager
async def gateway(database: Database, directory: Path, settings: KeySettings) -> AsyncIterator[Gateway]:
    """A gateway with the keyring in `directory`, for as long as the block runs."""
    provider = FaultyKms(await open_provider(settings, directory, database))
    started = Gateway(keystore_of(settings), provider, settings)
    started.keys = KeyService(
        started.keystore,
        started.kms,
        database,
        settings,
        on_revoked=lambda: started.endings.append(time.monotonic()),
    )
    try:
        yield started
    finally:
        await started.keys.close()


def keyring(directory: Path) -> KeyringFile:
    """The keyring of `directory`, as its owner changes it behind the gateway's back."""
    local = KeySettings().local
    return KeyringFile(keyring_path(local, directory), unlock_existing(local, directory))


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits until something that goes on in the background has happened."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (much of what is waited for sets no event)
            await asyncio.sleep(0.005)


async def dek_ids_of(database: Database, tenant: KeyOwner) -> bytes:
    """Ids of all of the tenant's data keys, 32 bytes each."""
    async with database.read(tenant.tenant_id) as connection:
        rows = await connection.fetch("SELECT dek_id FROM data_key")
    return b"".join(row["dek_id"] for row in rows)


async def delete_as_owner(settings: StorageSettings, tenant: KeyOwner, *tables: str) -> None:
    """Loses the tenant's one row in each table, as no role of the gateway can."""
    assert settings.owner_dsn is not None
    owner = await asyncpg.connect(settings.owner_dsn.get_secret_value())
    await owner.execute("SELECT set_config('intelgraph.tenant', $1, false)", str(tenant.tenant_id))
    for table in tables:
        assert await owner.execute(f"DELETE FROM {table}") == "DELETE 1"  # noqa: S608 (the tests' own)
    await owner.close()
