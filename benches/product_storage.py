"""The product's own storage without the product: its PostgreSQL with its settings, its tables and indexes."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benches.postgres import Postgres
from intelgraph.storage.cluster import DATABASE
from intelgraph.storage.embedded import EmbeddedServer
from intelgraph.storage.migrate import migrate

WRITER: Final = "intelgraph_writer"
"""The role that the gateway commits with."""


@contextlib.contextmanager
def product_postgres(runner: asyncio.Runner) -> Iterator[Postgres]:
    """Starts a server on an empty temporary directory and migrates it, as `intelgraph serve` does."""
    directory = Path(tempfile.mkdtemp(prefix="intelgraph-bench-"))
    try:
        with EmbeddedServer(directory) as server:
            runner.run(migrate(server.dsn("intelgraph_owner")))
            assert server.pid is not None
            yield Postgres(server.cluster, server.pid, DATABASE)
    finally:
        shutil.rmtree(directory)
