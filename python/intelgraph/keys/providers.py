"""The KMS that the settings name."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from intelgraph.keys.local import LocalProvider

if TYPE_CHECKING:
    from intelgraph.keys.settings import KeySettings
    from intelgraph.storage.database import Database


_IS_IN_USE: Final = "SELECT EXISTS (SELECT FROM tenant_key WHERE provider = $1)"


async def open_provider(settings: "KeySettings", directory: Path, database: "Database") -> LocalProvider:
    """Opens it; `directory` is where the gateway keeps its own keys, the data directory's `keys`.

    A new keyring is made only for a database that holds no key of it: over one that does, the gateway would
    serve, and open nothing of what is there.

    Raises FailedPrecondition with a reason that begins with KEYRING, and Unavailable KEYRING_BUSY or
    KEYRING_UNAVAILABLE.
    """
    async with database.write() as connection:
        is_in_use: bool = await connection.fetchval(_IS_IN_USE, LocalProvider.name)
    return await LocalProvider.open(settings.local, directory, may_make=not is_in_use)
