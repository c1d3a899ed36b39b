"""What is asked of approvals reads what it returns and little more, however many there ever were."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from intelgraph.approvals import store, waiting
from intelgraph.storage.connection import Connection
from intelgraph.storage.embedded import EmbeddedServer
from tests.approvals.world import World
from tests.parts.postgres import superuser

ROWS = 20_000
OPEN = 20

_FILL = f"""
INSERT INTO approval (tenant_id, approval_id, platform, origin, kind, document, digest, reason, ticket, role, quorum,
  requested_by, requested_method, requested_at, expires_at, state, settled_at)
SELECT '%s', gen_random_uuid(), false, 'o', 'manual.act', '', sha256(''), 'r', '', 'security-officer', 1,
  'alice', 'jwt', now() - n * interval '1 second', now() + interval '1 day',
  CASE WHEN waits THEN 'requested' ELSE 'used' END, CASE WHEN waits THEN NULL ELSE now() END
FROM generate_series(0, {ROWS} - 1) AS n, LATERAL (SELECT n %% {ROWS // OPEN} = 0 AS waits) AS waiting
"""  # noqa: S608 (numbers of this module)


async def test_queries_walk_an_index(world: World, postgres: EmbeddedServer) -> None:
    tenant = world.tenant.tenant_id
    async with world.database.read(tenant) as connection:
        name = str(await connection.fetchval("SELECT current_database()"))
    await superuser(postgres, _FILL % tenant, database=name)
    middle = 1_000_000_000_000_000
    queries: tuple[tuple[str, tuple[str, ...], str, int], ...] = (
        (store._PAGE, (f"'{tenant}'", "'{}'", "''", "NULL", "NULL", "50"), "approval_newest", 50),
        (
            store._PAGE,
            (f"'{tenant}'", "'{}'", "''", str(middle), f"'{UUID(int=1)}'", "50"),
            "approval_newest",
            50,
        ),
        (
            store._AWAITING,
            (f"'{tenant}'", "'bob'", "'{security-officer}'", "''", "100"),
            "approval_open",
            OPEN,
        ),
    )
    async with world.database.read(tenant) as connection:
        for query, arguments, index, most in queries:
            await _holds(connection, query, arguments, index, most)
    async with world.database.write() as connection:
        await _holds(connection, waiting._OPEN, (), "approval_open", OPEN)
        await _holds(connection, store._EXPIRED, ("100",), "approval_open", OPEN)


async def _holds(
    connection: Connection, query: str, arguments: tuple[str, ...], index: str, most: int
) -> None:
    given = f" ({', '.join(arguments)})" if arguments else ""
    await connection.execute(f"PREPARE explained AS {query}")
    plan = await connection.fetchval(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE explained{given}")
    await connection.execute("DEALLOCATE explained")
    scans = [node for node in _nodes(json.loads(plan)[0]["Plan"]) if node.get("Relation Name") == "approval"]
    assert {node.get("Index Name") for node in scans} == {index}, plan
    read = sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in scans
    )
    assert read <= most, plan


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
