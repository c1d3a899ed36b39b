"""The real PostgreSQL of the wheel: one server per session, a fresh, migrated database per test.

A database is a copy of one that was migrated once, so that a test pays some tens of milliseconds for it.
"""

import asyncio
import itertools
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from pydantic import SecretStr

from intelgraph.storage.cluster import SUPERUSER
from intelgraph.storage.database import Database
from intelgraph.storage.embedded import EmbeddedServer
from intelgraph.storage.migrate import migrate
from intelgraph.storage.settings import StorageSettings

_TEMPLATE = "migrated"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def _created(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a server that was created, migrated and stopped."""
    created = tmp_path_factory.mktemp("created") / "data"
    with EmbeddedServer(created) as server:
        asyncio.run(migrate(server.dsn("intelgraph_owner")))
    return created


@pytest.fixture
def data_dir(_created: Path, tmp_path: Path) -> Path:
    """A data directory for a server of the test's own, without the second that creating one takes."""
    copy = tmp_path / "data"
    subprocess.run(["/bin/cp", "-a", _created, copy], check=True)
    return copy


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """The server. Tests that stop or fill one start their own."""
    with EmbeddedServer(tmp_path_factory.mktemp("postgres")) as server:
        # No test pulls the plug, and a fresh database per test syncs a thousand files.
        asyncio.run(superuser(server, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"))
        asyncio.run(superuser(server, f"CREATE DATABASE {_TEMPLATE} OWNER intelgraph_owner"))
        asyncio.run(migrate(server.dsn("intelgraph_owner", _TEMPLATE)))
        yield server


@pytest_asyncio.fixture
async def storage_settings(postgres: EmbeddedServer) -> AsyncIterator[StorageSettings]:
    """Addresses of a fresh, migrated database."""
    async with fresh_database(postgres) as settings:
        yield settings


@pytest_asyncio.fixture
async def database(storage_settings: StorageSettings) -> AsyncIterator[Database]:
    """The gateway's pools on a fresh, migrated database."""
    opened = await Database.connect(storage_settings)
    yield opened
    await opened.close()


@asynccontextmanager
async def fresh_database(
    server: EmbeddedServer, *, template: str = _TEMPLATE
) -> AsyncIterator[StorageSettings]:
    """A database for a test or a module, dropped at the end; of `template1`, one that is not migrated."""
    name = f"test_{next(_numbers)}"
    await superuser(server, f"CREATE DATABASE {name} TEMPLATE {template} OWNER intelgraph_owner")
    try:
        yield StorageSettings(
            owner_dsn=SecretStr(server.dsn("intelgraph_owner", name)),
            writer_dsn=SecretStr(server.dsn("intelgraph_writer", name)),
            reader_dsn=SecretStr(server.dsn("intelgraph_reader", name)),
        )
    finally:
        await superuser(server, f"DROP DATABASE {name} WITH (FORCE)")


async def superuser(server: EmbeddedServer, *statements: str, database: str = SUPERUSER) -> None:
    """Does what no role of the gateway may do."""
    connection = await asyncpg.connect(server.dsn(SUPERUSER, database))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
