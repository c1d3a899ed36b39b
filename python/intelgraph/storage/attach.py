"""The gateway's PostgreSQL for a tool on its host, whether the gateway runs or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from intelgraph.errors import FailedPrecondition
from intelgraph.storage.embedded import EmbeddedServer

if TYPE_CHECKING:
    from intelgraph.storage.settings import StorageSettings


@contextmanager
def attached(settings: "StorageSettings", data_dir: Path) -> Iterator["StorageSettings"]:
    """`settings` with the addresses of a server that runs: the one that they name, or the one in `data_dir`,
    which is started as long as the block runs unless a gateway has started it.

    Raises FailedPrecondition DATA_DIRECTORY_EMPTY, and as `EmbeddedServer.start`.
    """
    if not settings.embedded:
        yield settings
        return
    server = EmbeddedServer(data_dir)
    if not server.cluster.exists():
        raise FailedPrecondition(
            "DATA_DIRECTORY_EMPTY",
            f"no gateway keeps its data in {data_dir}",
            fix="name the data directory of a gateway that has served on this host with --data-dir",
        )
    try:
        server.start()
    except FailedPrecondition as error:
        if error.reason != "DATA_DIRECTORY_IN_USE":
            raise
    try:
        yield server.addresses(settings)
    finally:
        server.stop()
