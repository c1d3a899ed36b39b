"""The KMS that the settings name."""

from pathlib import Path
from typing import TYPE_CHECKING

from intelgraph.keys.local import LocalProvider

if TYPE_CHECKING:
    from intelgraph.keys.provider import KeyProvider
    from intelgraph.keys.settings import KeySettings


async def open_provider(settings: "KeySettings", directory: Path) -> "KeyProvider":
    """Opens it; `directory` is where the gateway keeps its own keys, the data directory's `keys`.

    Raises FailedPrecondition with a reason that begins with KEYRING, and Unavailable KEYRING_BUSY or
    KEYRING_UNAVAILABLE.
    """
    return await LocalProvider.open(settings.local, directory)
