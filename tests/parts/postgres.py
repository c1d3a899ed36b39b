"""The real PostgreSQL of the wheel: one server per session, a fresh, migrated database per test.

A database is a copy of one that was migrated once, so that a test pays some tens of milliseconds for it.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
import pytest_asyncio
from intelgraph.storage.cluster import SUPERUSER
from intelgraph.storage.database import Database
from intelgraph.storage.embedded import EmbeddedServer
from intelgraph.storage.migrate import migrate
from intelgraph.storage.settings import StorageSettings
from pydantic import SecretStr

_TEMPLATE = "migrated"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """The server. Tests that stop or fill one start their own."""
    with EmbeddedServer(tmp_path_factory.mktemp("postgres")) as server:
        # No test pulls the plug, and a fresh database per test syncs a thousand files.
        asyncio.run(_superuser(server, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"))
        asyncio.run(_superuser(server, f"CREATE DATABASE {_TEMPLATE} OWNER intelgraph_owner"))
        asyncio.run(migrate(server.dsn("intelgraph_owner", _TEMPLATE)))
        yield server


@pytest_asyncio.fixture
async def storage_settings(postgres: EmbeddedServer) -> AsyncIterator[StorageSettings]:
    """Addresses of a fresh, migrated database."""
    name = f"test_{next(_numbers)}"
    await _superuser(postgres, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} OWNER intelgraph_owner")
    yield addresses(postgres, name)
    await _superuser(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture
async def database(storage_settings: StorageSettings) -> AsyncIterator[Database]:
    """The gateway's pools on a fresh, migrated database."""
    opened = await Database.connect(storage_settings)
    yield opened
    await opened.close()


def addresses(server: EmbeddedServer, name: str) -> StorageSettings:
    """The three roles' addresses of one database of the server."""
    owner, writer, reader = (
        SecretStr(server.dsn(f"intelgraph_{role}", name)) for role in ("owner", "writer", "reader")
    )
    return StorageSettings(owner_dsn=owner, writer_dsn=writer, reader_dsn=reader)


async def connect(server: EmbeddedServer, name: str) -> "asyncpg.Connection[asyncpg.Record]":
    """A superuser's connection, for what no role of the gateway may do."""
    return await asyncpg.connect(server.dsn(SUPERUSER, name))


async def _superuser(server: EmbeddedServer, *statements: str) -> None:
    connection = await connect(server, SUPERUSER)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
