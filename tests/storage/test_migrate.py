"""Migrations: once, whole, unchanged, whoever starts together."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from intelgraph._core import sequence_ledger_entries
from intelgraph.errors import FailedPrecondition
from intelgraph.storage.database import Database
from intelgraph.storage.embedded import EmbeddedServer
from intelgraph.storage.migrate import MIGRATIONS, migrate
from intelgraph.storage.settings import StorageSettings
from tests.parts.outbox import Waiting, waiting
from tests.parts.postgres import fresh_database, superuser

SHIPPED = sorted(path.stem for path in MIGRATIONS.glob("*.sql"))
LATER = f"""
-- A later one
-- depends: {SHIPPED[-1]}

-- migrate: apply
CREATE TABLE later (n int);
{{statement}}
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
    assert sorted(applied) == [[], [], [], SHIPPED]


async def test_what_is_added_later_is_applied_alone(empty: StorageSettings, migrations: Path) -> None:
    assert await migrate(_owner(empty), migrations) == SHIPPED
    (migrations / "9999_later.sql").write_text(LATER.format(statement=""))
    assert await migrate(_owner(empty), migrations) == ["9999_later"]
    assert await migrate(_owner(empty), migrations) == []


async def test_records_that_wait_already_are_counted(empty: StorageSettings, migrations: Path) -> None:
    for later in SHIPPED[1:]:
        (migrations / f"{later}.sql").unlink()
    await migrate(_owner(empty), migrations)
    writer = await asyncpg.connect(empty.writer_dsn.get_secret_value() if empty.writer_dsn else "")
    records_of: dict[UUID, list[int]] = {uuid4(): [], uuid4(): [3], uuid4(): [1, 2, 4]}
    for tenant_id, entries in records_of.items():
        await writer.execute(
            "INSERT INTO tenant (tenant_id, name, state, limits) VALUES ($1, $2, 'active', '{}')",
            tenant_id,
            tenant_id.hex,
        )
        await writer.execute("INSERT INTO tenant_clock (tenant_id) VALUES ($1)", tenant_id)
        for records in entries:
            await writer.execute(
                "INSERT INTO quarantine VALUES ($1, $2, 1, 1, 1, $3, 1, now(), 'quarantined', '')",
                tenant_id,
                uuid4(),
                records,
            )
    await migrate(_owner(empty))
    counted = await writer.fetch("SELECT tenant_id, quarantined FROM tenant_clock")
    forced = await writer.fetchval(
        "SELECT bool_and(relforcerowsecurity) FROM pg_class WHERE relname IN ('tenant_clock', 'quarantine')"
    )
    await writer.close()
    assert dict(map(tuple, counted)) == {tenant_id: sum(entries) for tenant_id, entries in records_of.items()}
    assert forced


async def test_an_applied_migration_that_was_changed_is_refused(
    storage_settings: StorageSettings, migrations: Path
) -> None:
    with (migrations / "0001_spine.sql").open("a") as file:
        file.write("\n-- an afterthought\n")
    with pytest.raises(FailedPrecondition, match="0001_spine") as caught:
        await migrate(_owner(storage_settings), migrations)
    assert caught.value.reason == "MIGRATION_CHANGED"


async def test_a_database_of_a_newer_gateway_is_refused(empty: StorageSettings, migrations: Path) -> None:
    (migrations / "9999_later.sql").write_text(LATER.format(statement=""))
    await migrate(_owner(empty), migrations)
    with pytest.raises(FailedPrecondition, match="9999_later") as caught:
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
    (migrations / "9999_later.sql").write_text(LATER.format(statement="SELECT 1 / 0;"))
    with pytest.raises(Exception, match="9999_later"):
        await migrate(_owner(empty), migrations)
    assert await _tables(empty) == set()
    assert await migrate(_owner(empty)) == SHIPPED


async def test_entries_that_wait_already_are_packed(empty: StorageSettings, migrations: Path) -> None:
    later = migrations / "0008_packed_outbox.sql"
    statement = later.read_text()
    for newer in SHIPPED[SHIPPED.index(later.stem) :]:
        (migrations / f"{newer}.sql").unlink()
    await migrate(_owner(empty), migrations)
    assert empty.writer_dsn is not None
    writer = await asyncpg.connect(empty.writer_dsn.get_secret_value())
    tenant = uuid4()
    rows = [
        (uuid4(), of, kind, kind * 7, bytes([kind] * 64), b"h", b"pp")
        for kind, of in ((10, None), (11, tenant))
    ]
    await writer.executemany(
        "INSERT INTO ledger_outbox (entry_id, tenant_id, kind, subject_tag, commitments, header, payload)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        rows,
    )
    later.write_text(statement)
    await migrate(_owner(empty), migrations)
    assert await waiting(writer) == [Waiting(row[0], row[1], row[2], *row[4:]) for row in rows]
    packed = b"".join(
        [row["packed"] for row in await writer.fetch("SELECT packed FROM ledger_outbox ORDER BY id")]
    )
    commitments, _ = sequence_ledger_entries(packed, 0, 0)
    assert commitments == b"".join(row[4] for row in rows)
    await writer.close()
