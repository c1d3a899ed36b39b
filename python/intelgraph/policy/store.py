"""The versions of tenants' rules in the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

import asyncpg

from intelgraph.errors import FailedPrecondition, NotFound
from intelgraph.policy.rules import Module, from_stored, revision_of, stored
from intelgraph.provenance.kinds.policy import PolicyChanged

if TYPE_CHECKING:
    from intelgraph.provenance.actor import Actor
    from intelgraph.provenance.ledger import Ledger
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database
    from intelgraph.tenants.registry import Tenant

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS: Final = "version, modules, revision, state, created_by, created_at"

_INSERT: Final = f"""
INSERT INTO tenant_policy (tenant_id, version, modules, revision, state, created_by)
VALUES ($1, $2, $3, $4, 'active', $5) RETURNING {_COLUMNS}
"""  # noqa: S608 (constants)


@dataclass(frozen=True, slots=True)
class RulesVersion:
    """One version of a tenant's rules; without modules, that they were removed."""

    version: int
    modules: tuple[Module, ...]
    revision: bytes
    """SHA-256 of the modules as they are stored."""
    in_force: bool
    created_by: str
    created_us: int


class RulesStore:
    """Reads and writes versions. They are never changed, and never removed."""

    def __init__(self, database: "Database", ledger: "Ledger") -> None:
        self._database = database
        self._ledger = ledger

    async def get(self, tenant: "Tenant", version: int = 0) -> RulesVersion:
        """A version, by default the one in force. Raises NotFound POLICY_NOT_FOUND."""
        which = "version = $2" if version else "state = 'active' AND $2 = 0"
        async with self._database.read(tenant.tenant_id) as connection:
            row = await connection.fetchrow(
                f"SELECT {_COLUMNS} FROM tenant_policy WHERE tenant_id = $1 AND {which}",  # noqa: S608 (constants)
                tenant.tenant_id,
                version,
            )
        if row is None:
            raise NotFound(
                "POLICY_NOT_FOUND",
                f"there is no version {version} of the tenant's rules"
                if version
                else "the tenant has no rules",
                fix="`intelgraph policy show --all` lists the versions; `intelgraph policy put` makes one",
            )
        return _version(row)

    async def page(self, tenant: "Tenant", before_version: int | None, limit: int) -> Sequence[RulesVersion]:
        """At most `limit` versions, newest first."""
        async with self._database.read(tenant.tenant_id) as connection:
            rows = await connection.fetch(
                f"SELECT {_COLUMNS} FROM tenant_policy"  # noqa: S608 (constants)
                " WHERE tenant_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3",
                tenant.tenant_id,
                2**31 - 1 if before_version is None else before_version,
                limit,
            )
        return [_version(row) for row in rows]

    async def put(
        self,
        tenant: "Tenant",
        modules: Sequence[Module],
        *,
        by: "Actor",
        replaces: int | None = None,
    ) -> tuple[RulesVersion, bool]:
        """Puts a version in force; whether it is new. The very modules that are in force change nothing.

        Raises FailedPrecondition POLICY_REPLACED where not `replaces` is in force (0 is none).
        """
        revision = revision_of(modules)
        await self._ledger.ready()
        async with self._database.write() as connection:
            await connection.execute(
                "SELECT FROM tenant WHERE tenant_id = $1 FOR NO KEY UPDATE", tenant.tenant_id
            )
            before = await _in_force(connection, tenant.tenant_id)
            version_before = before.version if before is not None else 0
            if replaces is not None and replaces != version_before:
                raise FailedPrecondition(
                    "POLICY_REPLACED",
                    f"not version {replaces} of the rules is in force, but {version_before}",
                    fix="look at what is in force, and put the rules again if they still fit",
                )
            if before is not None and before.revision == revision:
                return before, False
            if before is None and not modules:
                raise NotFound(
                    "POLICY_NOT_FOUND", "the tenant has no rules", fix="there is nothing to remove"
                )
            await connection.execute(
                "UPDATE tenant_policy SET state = 'replaced' WHERE tenant_id = $1 AND state = 'active'",
                tenant.tenant_id,
            )
            row = await connection.fetchrow(
                _INSERT, tenant.tenant_id, version_before + 1, stored(modules), revision, by.subject
            )
            facts = PolicyChanged(version_before + 1, revision.hex(), tuple(each.name for each in modules))
            await self._ledger.append(
                connection, facts, subject=f"policy:{version_before + 1}", by=by, tenant=tenant
            )
        if row is None:
            raise AssertionError("a statement with RETURNING gives back the row it wrote")
        return _version(row), True


async def in_force_everywhere(connection: "Connection") -> Mapping[str, tuple[UUID, int]]:
    """The tenants that have rules, by name, with the version in force."""
    rows = await connection.fetch(
        "SELECT name, tenant_id, version FROM tenant_policy JOIN tenant USING (tenant_id)"
        " WHERE tenant_policy.state = 'active'"
    )
    return {row["name"]: (row["tenant_id"], row["version"]) for row in rows}


async def modules_of(connection: "Connection", tenant_id: UUID, version: int) -> tuple[Module, ...]:
    """The modules of one version."""
    content: bytes = await connection.fetchval(
        "SELECT modules FROM tenant_policy WHERE tenant_id = $1 AND version = $2", tenant_id, version
    )
    return from_stored(content)


async def _in_force(connection: "Connection", tenant_id: UUID) -> RulesVersion | None:
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM tenant_policy WHERE tenant_id = $1 AND state = 'active'",  # noqa: S608 (constants)
        tenant_id,
    )
    return _version(row) if row is not None else None


def _version(row: asyncpg.Record) -> RulesVersion:
    return RulesVersion(
        version=row["version"],
        modules=from_stored(row["modules"]),
        revision=row["revision"],
        in_force=row["state"] == "active",
        created_by=row["created_by"],
        created_us=(row["created_at"] - _EPOCH) // timedelta(microseconds=1),
    )
