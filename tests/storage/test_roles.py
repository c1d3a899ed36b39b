"""What each database role can and cannot do, on the connections that the gateway uses."""

import itertools
from uuid import UUID, uuid4

import asyncpg
import pytest
from pydantic import SecretStr

from intelgraph.errors import FailedPrecondition
from intelgraph.keys.platform import PLATFORM
from intelgraph.storage.connection import Connection
from intelgraph.storage.database import Database
from intelgraph.storage.embedded import EmbeddedServer
from intelgraph.storage.settings import StorageSettings
from tests.parts.postgres import superuser
from tests.storage.naive_log import ENTITIES, NaiveLog, create_tenant, write

TENANTS_TABLES = """
SELECT oid::regclass::text AS name FROM pg_class
WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
  AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = oid AND attname = 'tenant_id')
ORDER BY 1
"""


_APPROVAL = """
INSERT INTO approval (tenant_id, approval_id, platform, origin, kind, document, digest, reason, ticket, role, quorum,
  requested_by, requested_method, expires_at)
VALUES ($1, $2, false, 'o', 'k', '', sha256(''), 'r', 't', 'role', 1, 'p', 'jwt', now() + interval '1 day')
"""
_DECISION = "INSERT INTO approval_decision VALUES ($1, $2, 'p', 'jwt', 'approve', now(), false, '', '')"
_APPROVER_KEY = "INSERT INTO approver_key VALUES ($1, sha256(''), 'p', 'Ed25519', '', '', '')"
_OPERATION = """
INSERT INTO operation (tenant_id, operation_id, kind, exclusive, state, input, memory, created_by, created_method)
VALUES ($1, $2, 'k', false, 'waiting', '', '', 'a', 'jwt')
"""
_ENTRY = "INSERT INTO ledger_entry (tenant_id, index, sequenced, commitments) VALUES ($1, $2, now(), $3)"
_indexes = itertools.count()


async def test_row_security_binds_every_connection_of_the_reader(database: Database) -> None:
    connections = [await database.reader.acquire() for _ in range(database.reader.get_max_size())]
    for connection in connections:
        tables = [row["name"] for row in await connection.fetch(TENANTS_TABLES)]
        assert {"entity_change_log", "quarantine_record", "tenant", "data_key"} <= set(tables)
        for table in tables:
            assert await connection.fetchval("SELECT row_security_active($1::text)", table), table
    for connection in connections:
        await database.reader.release(connection)


async def test_without_a_tenant_or_with_another_there_are_no_rows(database: Database) -> None:
    mine = await _tenant_with_rows_everywhere(database)
    other = await _tenant_with_rows_everywhere(database)
    async with database.reader.acquire() as connection:
        assert await _rows(connection) == {}
    async with database.read(uuid4()) as connection:
        assert await _rows(connection) == {}
    async with database.read(mine) as connection:
        rows = await _rows(connection)
        assert len(rows) == 23
        assert set(rows.values()) == {frozenset({mine})}
    # The tenant was set for one transaction only, on a connection that is used again.
    async with database.reader.acquire() as connection:
        assert await _rows(connection) == {}
    async with database.read(other) as connection:
        assert set((await _rows(connection)).values()) == {frozenset({other})}


async def test_only_the_platform_sees_that_entries_wait(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute("INSERT INTO ledger_outbox (entries, packed) VALUES (3, '')")
    async with database.read(uuid4()) as connection:
        assert await connection.fetchval("SELECT count(*) FROM ledger_outbox") == 0
    async with database.read(PLATFORM.tenant_id) as connection:
        assert await connection.fetchval("SELECT sum(entries) FROM ledger_outbox") == 3
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT packed FROM ledger_outbox")


async def test_the_owner_is_bound_too(database: Database, storage_settings: StorageSettings) -> None:
    await _tenant_with_rows_everywhere(database)
    assert storage_settings.owner_dsn is not None
    connection = await asyncpg.connect(storage_settings.owner_dsn.get_secret_value())
    assert await _rows(connection) == {}
    await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT sealed FROM entity_change_log",
        "SELECT snapshot FROM entity_change_log",
        "SELECT * FROM entity_change_log",
        "COPY entity_change_log TO STDOUT",
        "UPDATE entity_change_log SET op = 2",
        "UPDATE entity_change_log SET recorded = recorded - interval '20 day'",
        "DELETE FROM entity_change_log",
        "TRUNCATE entity_change_log",
        "SELECT header FROM ledger_entry",
        "SELECT payload FROM ledger_entry",
        "UPDATE ledger_entry SET index = 0",
        "UPDATE ledger_entry SET commitments = ''",
        "DELETE FROM ledger_entry",
        "UPDATE ledger_outbox SET packed = ''",
        "DELETE FROM ledger_checkpoint",
        "UPDATE ledger_checkpoint SET note = ''",
        "UPDATE approval SET document = ''",
        "UPDATE approval SET quorum = 1",
        "UPDATE approval SET expires_at = now()",
        "DELETE FROM approval",
        "UPDATE approval_decision SET decision = 'approve'",
        "DELETE FROM approval_decision",
        "UPDATE approver_key SET public_key = ''",
        "DELETE FROM approver_key",
        "UPDATE flag_share SET flag = 'x'",
        "DELETE FROM flag_share",
        "UPDATE flag_setting SET weakened = true",
        "SELECT report FROM quarantine",
        "SELECT sealed FROM quarantine_record",
        "DELETE FROM quarantine_record",
        "DELETE FROM operation_step",
        "DELETE FROM retained_batch",
        "UPDATE removed_range SET nodes = ''",
        "UPDATE quarantine SET records = 0",
        "UPDATE contract SET document = ''",
        "DELETE FROM contract",
        "DELETE FROM tenant",
        "DELETE FROM tenant_policy",
        "UPDATE tenant_policy SET modules = '[]'",
        "DELETE FROM data_key",
        "DROP TABLE entity_change_log",
        "ALTER TABLE entity_change_log DISABLE ROW LEVEL SECURITY",
        "CREATE TABLE mine (n int)",
    ],
)
async def test_the_writer_appends_and_no_more(database: Database, statement: str) -> None:
    async with database.writer.acquire() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO tenant_clock (tenant_id) VALUES ('00000000-0000-0000-0000-000000000001')",
        "UPDATE tenant_clock SET seq = 0",
        "DELETE FROM entity_change_log",
        "ALTER ROLE intelgraph_reader BYPASSRLS",
        "SET ROLE intelgraph_writer",
        "SET SESSION AUTHORIZATION postgres",
    ],
)
async def test_the_reader_only_reads(database: Database, statement: str) -> None:
    async with database.reader.acquire() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_every_key_of_a_tenants_table_begins_with_the_tenant(database: Database) -> None:
    keys = """
    SELECT indrelid::regclass::text AS table_name, indexrelid::regclass::text AS name,
      (SELECT attname FROM pg_attribute WHERE attrelid = indrelid AND attnum = indkey[0]) AS first
    FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
    WHERE relnamespace = 'public'::regnamespace AND indrelid::regclass::text = ANY ($1::text[])
    """
    async with database.writer.acquire() as connection:
        tables = {row["name"] for row in await connection.fetch(TENANTS_TABLES)}
        # The registry itself is a reference table: it is looked up by name before there is a tenant.
        tables.remove("tenant")
        # The ledger is one log over all tenants: its key is the index of the leaf.
        tables.remove("ledger_entry")
        found = await connection.fetch(keys, sorted(tables))
        without_primary_key = tables - {
            row["table_name"]
            for row in await connection.fetch(
                "SELECT indrelid::regclass::text AS table_name FROM pg_index WHERE indisprimary"
            )
        }
        crossing = await connection.fetch(
            """
            SELECT conname FROM pg_constraint
            WHERE contype = 'f' AND connamespace = 'public'::regnamespace
              AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = conrelid AND attname = 'tenant_id')
              AND (SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = conkey[1])
                <> 'tenant_id'
            """
        )
    assert len(found) >= len(tables)
    assert [row["name"] for row in found if row["first"] != "tenant_id"] == []
    assert without_primary_key == set()
    assert crossing == []


@pytest.mark.parametrize(
    ("alteration", "reason"),
    [
        ("ALTER ROLE intelgraph_reader BYPASSRLS", "bypasses row-level security"),
        ("ALTER ROLE intelgraph_reader SUPERUSER", "is a superuser"),
        ("GRANT intelgraph_owner TO intelgraph_reader WITH INHERIT TRUE", "owns the tables"),
        ("ALTER ROLE intelgraph_writer SUPERUSER", "is a superuser"),
        ("ALTER ROLE intelgraph_writer NOBYPASSRLS", "does not bypass row-level security"),
    ],
)
async def test_a_gateway_does_not_serve_with_a_role_that_may_too_much(
    storage_settings: StorageSettings, postgres: EmbeddedServer, alteration: str, reason: str
) -> None:
    restore = (
        "REVOKE intelgraph_owner FROM intelgraph_reader",
        "ALTER ROLE intelgraph_reader NOSUPERUSER NOBYPASSRLS",
        "ALTER ROLE intelgraph_writer NOSUPERUSER BYPASSRLS",
    )
    await superuser(postgres, alteration)
    try:
        with pytest.raises(FailedPrecondition, match=reason) as caught:
            await Database.connect(storage_settings)
        assert caught.value.reason == "DATABASE_ROLE_UNSAFE"
    finally:
        await superuser(postgres, *restore)


@pytest.mark.parametrize(
    ("grant", "reason"),
    [
        ("GRANT SELECT ON entity_change_log TO intelgraph_writer", "may read sealed values"),
        ("GRANT DELETE ON entity_change_log TO intelgraph_writer", "may change the log"),
        ("GRANT INSERT ON quarantine TO intelgraph_reader", "may write"),
        ("ALTER TABLE quarantine DISABLE ROW LEVEL SECURITY", "is not bound by row-level security"),
    ],
)
async def test_a_gateway_does_not_serve_tables_that_were_opened(
    storage_settings: StorageSettings, grant: str, reason: str
) -> None:
    assert storage_settings.owner_dsn is not None
    owner = await asyncpg.connect(storage_settings.owner_dsn.get_secret_value())
    await owner.execute(grant)
    await owner.close()
    with pytest.raises(FailedPrecondition, match=reason):
        await Database.connect(storage_settings)


async def test_the_owner_must_not_serve(storage_settings: StorageSettings) -> None:
    swapped = storage_settings.model_copy(update={"reader_dsn": storage_settings.owner_dsn})
    with pytest.raises(FailedPrecondition, match="owns the tables"):
        await Database.connect(swapped)


def test_a_password_in_a_dsn_is_never_shown() -> None:
    dsn = SecretStr("postgresql://intelgraph_writer:hunter2@db/intelgraph")
    settings = StorageSettings(owner_dsn=dsn, writer_dsn=dsn, reader_dsn=dsn)
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_two_addresses_of_three_are_refused() -> None:
    with pytest.raises(ValueError, match="reader_dsn not set"):
        StorageSettings(owner_dsn=SecretStr("a"), writer_dsn=SecretStr("b"))


async def _rows(connection: Connection) -> dict[str, frozenset[UUID]]:
    """The tenants whose rows can be seen, by table."""
    seen = {}
    for row in await connection.fetch(TENANTS_TABLES):
        table = row["name"]
        tenants = await connection.fetch(f"SELECT DISTINCT tenant_id FROM {table}")  # noqa: S608 (catalogue)
        if tenants:
            seen[table] = frozenset(tenant["tenant_id"] for tenant in tenants)
    return seen


async def _tenant_with_rows_everywhere(database: Database) -> UUID:
    tenant_id, key_id = uuid4(), uuid4()
    log = NaiveLog()
    log.change(ENTITIES[0], 1, 0, 1, delete=False, snapshot=False)
    async with database.write() as connection:
        await create_tenant(connection, tenant_id)
        await write(connection, tenant_id, log.rows)
        for statement, arguments in (
            ("INSERT INTO dataset VALUES ($1, 1, 'd')", ()),
            ("INSERT INTO contract VALUES ($1, 1, 1, '1.0.0', '', sha256(''), '')", ()),
            ("INSERT INTO ingest_stream VALUES ($1, 1, 's', 1, 'p', 'r')", ()),
            ("INSERT INTO quarantine VALUES ($1, $2, 1, 1, 1, 1, 1, now(), 'quarantined', '')", (key_id,)),
            ("INSERT INTO quarantine_record VALUES ($1, sha256(''), $2, 0, '')", (key_id,)),
            ("INSERT INTO tenant_key VALUES ($1, $2, 'local', 'k', '1', '', 'active')", (key_id,)),
            ("INSERT INTO data_key VALUES ($1, sha256(''), 1, $2, '', 'active')", (key_id,)),
            ("INSERT INTO index_key VALUES ($1, sha256(''), $2, '')", (key_id,)),
            ("INSERT INTO log_anchor VALUES ($1, 1)", ()),
            (_APPROVAL, (key_id,)),
            (_DECISION, (key_id,)),
            (_APPROVER_KEY, ()),
            (_OPERATION, (key_id,)),
            ("INSERT INTO operation_step VALUES ($1, $2, 1, 'done', 's', 1)", (key_id,)),
            ("INSERT INTO removed_range VALUES ($1, 1, 1, '')", ()),
            ("INSERT INTO retention_mark VALUES ($1, 1, 1)", ()),
            ("INSERT INTO anchor_waiting VALUES ($1, 1, '')", ()),
            ("INSERT INTO flag_setting VALUES ($1, 'contracts', false, NULL, now(), 'p')", ()),
            ("INSERT INTO tenant_policy VALUES ($1, 1, '[]', sha256('[]'), 'active', 'ada')", ()),
            (_ENTRY, (next(_indexes), bytes(64))),
        ):
            await connection.execute(statement, tenant_id, *arguments)
    return tenant_id
