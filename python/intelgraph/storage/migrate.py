"""Brings the schema up to date: plain SQL files, applied by pogo-core, in one transaction.

pogo-core keeps the order and runs the statements. Two things are added here: a lock, so that gateways which
start together migrate once, and a checksum of every applied file, so that a file that was changed afterwards
is noticed instead of ignored.
"""

import hashlib
import logging
from pathlib import Path

import asyncpg

from intelgraph.errors import FailedPrecondition
from intelgraph.storage.connection import reachable

MIGRATIONS = Path(__file__).with_name("migrations")

_LOCK = int.from_bytes(b"igmigrat")
"""Key of the advisory lock; any number that nobody else uses in this database."""

_SERVING = ("intelgraph_writer", "intelgraph_reader")

_CHECKSUMS = """
CREATE TABLE IF NOT EXISTS migration_checksum (
  name text PRIMARY KEY,
  sha256 bytea NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""

_log = logging.getLogger(__name__)
_pogo_log = _log.getChild("pogo")  # it warns of every file that it applies
_pogo_log.setLevel(logging.ERROR)


async def migrate(owner_dsn: str, migrations: Path = MIGRATIONS) -> list[str]:
    """Applies what is missing, all of it or nothing, and returns the names of what it applied.

    Raises FailedPrecondition DATABASE_ROLES_MISSING, MIGRATION_CHANGED where an applied file is not what it
    was, and MIGRATION_UNKNOWN where the database has one that this version of the gateway does not know.
    """
    known = _checksums(migrations)
    connection = await asyncpg.connect(reachable(owner_dsn), timeout=30)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            return await _migrate(connection, migrations, known)
    finally:
        await connection.close()


async def _migrate(
    connection: "asyncpg.Connection[asyncpg.Record]", migrations: Path, known: dict[str, bytes]
) -> list[str]:
    await _require_roles(connection)
    await connection.execute("SET LOCAL client_min_messages = warning")
    await connection.execute(_CHECKSUMS)
    rows = await connection.fetch("SELECT name, sha256 FROM migration_checksum ORDER BY name")
    applied = {row["name"]: row["sha256"] for row in rows}
    _compare(known, applied)
    missing = [name for name in known if name not in applied]
    if missing:
        from pogo_core.util.migrate import apply  # noqa: PLC0415 (not loaded unless there is something to apply)

        await apply(connection, migrations, schema_name="public", logger=_pogo_log)
        await connection.executemany(
            "INSERT INTO migration_checksum (name, sha256) VALUES ($1, $2)",
            [(name, known[name]) for name in missing],
        )
        _log.info("applied migrations: %s", ", ".join(missing))
    return missing


async def _require_roles(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    rows = await connection.fetch("SELECT rolname FROM pg_roles WHERE rolname = ANY ($1::text[])", _SERVING)
    missing = sorted(set(_SERVING) - {row["rolname"] for row in rows})
    if missing:
        raise FailedPrecondition(
            "DATABASE_ROLES_MISSING",
            f"the database has no role {' and no role '.join(missing)}",
            fix=f"run {Path(__file__).with_name('roles.sql')} as a superuser, once",
        )


def _checksums(migrations: Path) -> dict[str, bytes]:
    """SHA-256 of each file by its name without suffix, in order."""
    return {
        path.stem: hashlib.sha256(path.read_bytes()).digest() for path in sorted(migrations.glob("*.sql"))
    }


def _compare(known: dict[str, bytes], applied: dict[str, bytes]) -> None:
    for name, checksum in applied.items():
        if name not in known:
            raise FailedPrecondition(
                "MIGRATION_UNKNOWN",
                f"the database has migration {name}, which this version of the gateway does not know",
                fix="start a gateway that is at least as new as the one that migrated this database",
            )
        if known[name] != checksum:
            raise FailedPrecondition(
                "MIGRATION_CHANGED",
                f"migration {name} is not the file that was applied to this database",
                fix="restore the file as it was released, and put the change into a migration of its own",
            )
