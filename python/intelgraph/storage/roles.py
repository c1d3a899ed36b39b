"""What the roles that serve must not be able to do. Checked on every connection before it is used."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from intelgraph.errors import FailedPrecondition

if TYPE_CHECKING:
    from intelgraph.storage.connection import Connection

OLDEST_SERVER = 150000
"""`server_version_num` of PostgreSQL 15."""

_FACTS = """
SELECT
  current_user AS name,
  current_setting('server_version_num')::int AS server,
  role.rolsuper AS superuser,
  role.rolbypassrls AS bypasses,
  bool_or(pg_has_role(current_user, tenants.relowner, 'USAGE')) AS owns,
  bool_and(row_security_active(tenants.oid)) AS secured,
  has_column_privilege('entity_change_log', 'sealed', 'SELECT')
    OR has_column_privilege('entity_change_log', 'snapshot', 'SELECT') AS reads_sealed,
  has_any_column_privilege('entity_change_log', 'UPDATE')
    OR has_table_privilege('entity_change_log', 'DELETE, TRUNCATE') AS rewrites_log,
  bool_or(has_any_column_privilege(tenants.oid, 'INSERT, UPDATE')
    OR has_table_privilege(tenants.oid, 'DELETE, TRUNCATE')) AS writes
FROM pg_roles AS role, pg_class AS tenants
WHERE role.rolname = current_user
  AND tenants.relkind IN ('r', 'p')
  AND tenants.relnamespace = 'public'::regnamespace
  AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = tenants.oid AND attname = 'tenant_id')
GROUP BY role.rolsuper, role.rolbypassrls
"""


@dataclass(frozen=True)
class _Facts:
    name: str
    server: int
    superuser: bool
    bypasses: bool
    owns: bool
    secured: bool
    reads_sealed: bool
    rewrites_log: bool
    writes: bool


async def assert_reader(connection: "Connection") -> None:
    """Raises FailedPrecondition DATABASE_ROLE_UNSAFE unless row-level security binds this connection."""
    facts = await _facts(connection)
    _refuse_if(facts, facts.superuser, "is a superuser")
    _refuse_if(facts, facts.bypasses, "bypasses row-level security")
    _refuse_if(facts, facts.owns, "owns the tables")
    _refuse_if(facts, facts.writes, "may write")
    _refuse_if(facts, not facts.secured, "is not bound by row-level security")


async def assert_writer(connection: "Connection") -> None:
    """Raises FailedPrecondition DATABASE_ROLE_UNSAFE unless this connection can append and no more."""
    facts = await _facts(connection)
    _refuse_if(facts, facts.superuser, "is a superuser")
    _refuse_if(facts, not facts.bypasses, "does not bypass row-level security, so COPY does not work")
    _refuse_if(facts, facts.owns, "owns the tables")
    _refuse_if(facts, facts.reads_sealed, "may read sealed values")
    _refuse_if(facts, facts.rewrites_log, "may change the log")


async def _facts(connection: "Connection") -> _Facts:
    row = await connection.fetchrow(_FACTS)
    if row is None:
        raise FailedPrecondition(
            "DATABASE_NOT_MIGRATED",
            "the database has none of the gateway's tables",
            fix="start a gateway with the owner's DSN once, so that it can migrate",
        )
    facts = _Facts(**row)
    if facts.server < OLDEST_SERVER:
        raise FailedPrecondition(
            "POSTGRES_TOO_OLD",
            f"the server is PostgreSQL {facts.server // 10000}",
            fix=f"use PostgreSQL {OLDEST_SERVER // 10000} or newer",
        )
    return facts


def _refuse_if(facts: _Facts, unsafe: bool, what: str) -> None:
    if unsafe:
        raise FailedPrecondition(
            "DATABASE_ROLE_UNSAFE",
            f"the database role {facts.name} {what}",
            fix="create the roles as python/intelgraph/storage/roles.sql does, and let the gateway migrate",
        )
