"""Every query of the change log, and of retention, walks an index, also on a table that was never analysed."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from intelgraph.storage import change_log, retention
from intelgraph.storage.connection import Connection
from intelgraph.storage.embedded import EmbeddedServer
from tests.parts.postgres import superuser
from tests.storage.conftest import Store
from tests.storage.naive_log import NaiveLog

ROWS = 100_000
VERSIONS = 20
ENTITIES = ROWS // VERSIONS
BY_ENTITY = "entity_version"
BY_SEQ = "entity_change_log_pkey"


def entity(number: int) -> UUID:
    return UUID(int=number)


@pytest.fixture(scope="module")
def tenant(store: Store, postgres: EmbeddedServer) -> UUID:
    """A tenant with many rows."""
    tenant_id = store.run(store.tenant_with(NaiveLog()))
    fill = f"""
    INSERT INTO entity_change_log
    SELECT '{tenant_id}', n, 'epoch'::timestamptz + n * interval '1 second',
      'epoch'::timestamptz + version * interval '1 hour',
      lpad(to_hex(n % {ENTITIES}), 32, '0')::uuid, 1, 1, 1, version + 1, 1,
      CASE version WHEN 0 THEN 1 ELSE 2 END, version, sha256(''), sha256(''), NULL
    FROM generate_series(0, {ROWS} - 1) AS n, LATERAL (SELECT n / {ENTITIES} AS version) AS versions
    """  # noqa: S608 (numbers of this module)
    name = store.run(_database_name(store, tenant_id))
    clock = f"UPDATE tenant_clock SET seq = {ROWS - 1} WHERE tenant_id = '{tenant_id}'"  # noqa: S608 (likewise)
    store.run(superuser(postgres, fill, clock, database=name))
    return tenant_id


async def _database_name(store: Store, tenant_id: UUID) -> str:
    async with store.database.read(tenant_id) as connection:
        return str(await connection.fetchval("SELECT current_database()"))


ENTITY_IDS = b"".join(entity(number).bytes for number in range(0, 5000, 10))
TIMES = b"".join((3600_000_000 * 3).to_bytes(8) for _ in range(500))
QUERIES: dict[str, tuple[str, tuple[Any, ...], set[str], int]] = {
    # query, arguments after the tenant, indexes, most rows that may be read
    "entities": (change_log._ENTITIES, (ROWS // 2, 100), {BY_SEQ}, 100),
    "heads": (
        change_log._FETCH_HEADS,
        (1, ENTITY_IDS, ENTITY_IDS, TIMES),
        {BY_ENTITY},
        500 * (1 + VERSIONS + 1),
    ),
    "as of": (change_log._AS_OF, (1, entity(77), 3600_000_000 * 9, None), {BY_ENTITY}, 1 + 10),
    "history": (
        change_log._HISTORY,
        (1, entity(77), 3600_000_000 * 9, 2**62, 5, 10**6),
        {BY_ENTITY},
        6 + 10,
    ),
    "changes": (change_log._CHANGES, (ROWS // 2, None, 100, 10**6), {BY_SEQ}, 100),
    "last before": (retention._LAST_BEFORE, ("1970-01-01T12:00:00Z",), {BY_SEQ}, 20),
    "count": (retention._COUNT, (1, 100, 300), {BY_SEQ}, 200),
    "batch": (retention._BATCH, (1, 0, ROWS // 2, 1000, 200), {BY_SEQ, BY_ENTITY}, 1000 + 200 * VERSIONS),
    "without base": (
        retention._WITHOUT_BASE,
        (1, ENTITY_IDS, ROWS // 2),
        {BY_ENTITY},
        500 * (VERSIONS // 2 + 1),
    ),
    "chains": (
        retention._CHAINS,
        (1, ENTITY_IDS, ROWS // 2),
        {BY_ENTITY},
        500 * (VERSIONS // 2 + 1) * 2,
    ),
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_reads_what_it_returns_and_little_more(store: Store, tenant: UUID, name: str) -> None:
    query, arguments, indexes, most_rows = QUERIES[name]

    async def explain() -> dict[str, Any]:
        async with store.database.read(tenant) as connection:
            return await _explain(connection, query, tenant, *arguments)

    nodes = list(_nodes(store.run(explain())))
    scans = [node for node in nodes if node.get("Relation Name") == "entity_change_log"]
    assert scans
    assert {node.get("Index Name") for node in scans} == indexes
    assert all("tenant_id = " in node["Index Cond"] for node in scans)
    read = sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in scans
    )
    assert 0 < read <= most_rows


Argument = UUID | bytes | int | str | None


async def _explain(connection: Connection, query: str, *arguments: Argument) -> dict[str, Any]:
    """The plan as the gateway's connections keep it: made once, whatever the arguments."""
    literals = ", ".join(_literal(argument) for argument in arguments)
    await connection.execute(f"PREPARE explained AS {query}")
    plan = await connection.fetchval(
        f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE explained ({literals})"
    )
    await connection.execute("DEALLOCATE explained")
    (explained,) = json.loads(plan)
    return dict(explained["Plan"])


def _literal(argument: Argument) -> str:
    match argument:
        case None:
            return "NULL"
        case bytes():
            return rf"'\x{argument.hex()}'"
        case _:
            return f"'{argument}'"


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def test_removing_reads_what_it_removes_and_little_more(store: Store, tenant: UUID) -> None:
    entities = ENTITY_IDS[: 16 * 50]

    async def remove() -> tuple[int, int]:
        async with store.database.writer.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                await connection.execute("INSERT INTO dataset VALUES ($1, 1, 'd')", tenant)
                await connection.execute(
                    "INSERT INTO contract VALUES ($1, 1, 1, '1.0.0', '', sha256($2), $2)",
                    tenant,
                    b'{"retention": "ephemeral-7d"}',
                )
                removed = await connection.fetchval(
                    "SELECT removed FROM retention_remove($1, 1, $2, $3)", tenant, entities, ROWS // 2 - 1
                )
                read = await connection.fetchval(
                    "SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_user_tables"
                    " WHERE relname = 'entity_change_log'"
                )
            finally:
                await transaction.rollback()
        return removed, read

    removed, read = store.run(remove())
    assert removed == 50 * VERSIONS // 2
    assert removed <= read <= 2 * 50 * VERSIONS
