"""Migrations: once, whole, unchanged, whoever starts together."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from intelgraph.errors import FailedPrecondition
from intelgraph.storage.database import Database
from intelgraph.storage.embedded import EmbeddedServer
from intelgraph.storage.migrate import MIGRATIONS, migrate
from intelgraph.storage.settings import StorageSettings
from tests.parts.postgres import fresh_database, superuser

SECOND = """
-- A second
-- depends: 0001_spine

-- migrate: apply
CREATE TABLE second (n int);
{statement}
-- migrate: rollback
"""


@pytest_asyncio.fixture
async def empty(postgres: EmbeddedServer) -> AsyncIterator[StorageSettings]:
    """A database that nobody has migrated."""
    async with fresh_database(postgres, template="template1") as settings:
        yield settings


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    """A copy of the migrations."""
    return Path(shutil.copytree(MIGRATIONS, tmp_path / "migrations"))


def _owner(settings: StorageSettings) -> str:
    assert settings.owner_dsn is not None
    return settings.owner_dsn.get_secret_value()


async def _tables(settings: StorageSettings) -> set[str]:
    connection = await asyncpg.connect(_owner(settings))
    rows = await connection.fetch("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    await connection.close()
    return {row["relname"] for row in rows}


async def test_gateways_that_start_together_migrate_once(empty: StorageSettings) -> None:
    databases = await asyncio.gather(*(Database.connect(empty) for _ in range(4)))
    assert "entity_change_log" in await _tables(empty)
    await asyncio.gather(*(database.close() for database in databases))


async def test_of_many_one_applies(empty: StorageSettings) -> None:
    applied = await asyncio.gather(*(migrate(_owner(empty)) for _ in range(4)))
    assert sorted(applied) == [[], [], [], ["0001_spine"]]


async def test_what_is_added_later_is_applied_alone(empty: StorageSettings, migrations: Path) -> None:
    assert await migrate(_owner(empty), migrations) == ["0001_spine"]
    (migrations / "0002_second.sql").write_text(SECOND.format(statement=""))
    assert await migrate(_owner(empty), migrations) == ["0002_second"]
    assert await migrate(_owner(empty), migrations) == []


async def test_an_applied_migration_that_was_changed_is_refused(
    storage_settings: StorageSettings, migrations: Path
) -> None:
    with (migrations / "0001_spine.sql").open("a") as file:
        file.write("\n-- an afterthought\n")
    with pytest.raises(FailedPrecondition, match="0001_spine") as caught:
        await migrate(_owner(storage_settings), migrations)
    assert caught.value.reason == "MIGRATION_CHANGED"


async def test_a_database_of_a_newer_gateway_is_refused(empty: StorageSettings, migrations: Path) -> None:
    (migrations / "0002_second.sql").write_text(SECOND.format(statement=""))
    await migrate(_owner(empty), migrations)
    with pytest.raises(FailedPrecondition, match="0002_second") as caught:
        await migrate(_owner(empty))
    assert caught.value.reason == "MIGRATION_UNKNOWN"


async def test_a_server_without_the_roles_is_told_how_to_get_them(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        await superuser(server, "ALTER ROLE intelgraph_reader RENAME TO somebody")
        with pytest.raises(FailedPrecondition, match="intelgraph_reader") as caught:
            await migrate(server.dsn("intelgraph_owner"))
    assert caught.value.reason == "DATABASE_ROLES_MISSING"
    assert "roles.sql" in caught.value.fix


async def test_a_migration_that_fails_leaves_nothing_behind(empty: StorageSettings, migrations: Path) -> None:
    (migrations / "0002_second.sql").write_text(SECOND.format(statement="SELECT 1 / 0;"))
    with pytest.raises(Exception, match="0002_second"):
        await migrate(_owner(empty), migrations)
    assert await _tables(empty) == set()
    assert await migrate(_owner(empty)) == ["0001_spine"]
