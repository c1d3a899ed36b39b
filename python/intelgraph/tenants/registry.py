"""The tenants, as every gateway sees them at most two seconds after any of them changed one.

    async with TenantRegistry(database, ledger) as registry:
        tenant = await registry.get("acme")

A tenant that was read lately is answered from memory. One connection listens for changes, and reads
everything in memory again once a second, in case it missed one. Should that fail, what is in memory goes out
of date and is read, or refused, when it is asked for: a suspended tenant is never served on for longer.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from uuid import UUID, uuid4

import asyncpg

from intelgraph.errors import (
    AlreadyExists,
    FailedPrecondition,
    IntelGraphError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from intelgraph.provenance.actor import GATEWAY
from intelgraph.provenance.kinds.spine import TenantCreated, TenantLimitsChanged, TenantStateChanged
from intelgraph.tenants.limits import LimitChanges, TenantLimits

if TYPE_CHECKING:
    from intelgraph.provenance.actor import Actor
    from intelgraph.provenance.facts import Facts
    from intelgraph.provenance.ledger import Ledger
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database

CHANNEL: Final = "intelgraph_tenant"
REFRESH_SECONDS: Final = 1.0
FRESH_SECONDS: Final = 2.0
"""How long a tenant is answered from memory after it was read."""
FORGET_SECONDS: Final = 600.0
"""A tenant that nobody asked for in this time is not kept in memory."""

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")

_log = logging.getLogger(__name__)


class TenantState(Enum):
    """Whether a tenant is served."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    """Denied everything until it is let go on; keeps its data."""
    OFFBOARDED = "offboarded"
    """Denied for good. Its name is never given again."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant as it was when it was read."""

    tenant_id: UUID
    name: str
    state: TenantState
    limits: TenantLimits
    created_at: datetime


@dataclass(slots=True)
class _Kept:
    tenant: Tenant
    read_at: float
    asked_at: float


class TenantRegistry:
    """Reads and changes tenants. Enter it to keep what it remembers up to date."""

    def __init__(self, database: "Database", ledger: "Ledger") -> None:
        self._database = database
        self._ledger = ledger
        self._kept: dict[str, _Kept] = {}
        self._changed = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._listening = asyncio.create_task(self._listen(), name="tenant registry")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    # -- reading ---------------------------------------------------------------------------------------

    async def get(self, name: str) -> Tenant:
        """The tenant of that name, whatever its state.

        Raises PermissionDenied TENANT_UNKNOWN, and Unavailable STORAGE_UNAVAILABLE.
        """
        now = time.monotonic()
        kept = self._kept.get(name)
        if kept is not None and now - kept.read_at < FRESH_SECONDS:
            kept.asked_at = now
            return kept.tenant
        async with self._database.write() as connection:
            tenant = await _find(connection, name)
        if tenant is None:
            self._kept.pop(name, None)
            raise PermissionDenied(
                "TENANT_UNKNOWN",
                "the identity names a tenant that this gateway does not serve",
                fix="ask the operator to create the tenant, or use the gateway that serves it",
            )
        kept = self._kept.get(name)
        if kept is None or kept.read_at < now:
            self._kept[name] = _Kept(tenant, read_at=now, asked_at=now)
        return tenant

    async def page(self, after_name: str, limit: int) -> Sequence[Tenant]:
        """At most `limit` tenants by name, of those that follow `after_name`."""
        async with self._database.write() as connection:
            rows = await connection.fetch(
                "SELECT * FROM tenant WHERE name > $1 ORDER BY name LIMIT $2", after_name, limit
            )
        return [_tenant(row) for row in rows]

    # -- changing --------------------------------------------------------------------------------------

    async def create(
        self,
        name: str,
        limits: LimitChanges = LimitChanges(),  # noqa: B008 (frozen)
        *,
        by: "Actor",
    ) -> Tenant:
        """A new tenant, with its clock. That it was created is in the ledger, as every change below.

        Raises InvalidArgument TENANT_NAME_INVALID or LIMIT_OUT_OF_RANGE, AlreadyExists TENANT_EXISTS.
        """
        if not NAME.fullmatch(name):
            raise InvalidArgument(
                "TENANT_NAME_INVALID",
                "a tenant's name has 1 to 63 lower-case letters, digits and hyphens",
                fix="choose another name, which begins with a letter or a digit",
            )
        stored = _stored(limits.applied_to(TenantLimits()))
        await self._ledger.ready()
        try:
            async with self._database.write() as connection:
                tenant = _tenant(await connection.fetchrow(_CREATE, uuid4(), name, stored))
                await self._append(connection, TenantCreated(stored), tenant, by)
        except asyncpg.UniqueViolationError:
            raise AlreadyExists(
                "TENANT_EXISTS",
                f"there is or was a tenant {name}",
                fix="choose another name: the name of an offboarded tenant is never given again",
            ) from None
        return tenant

    async def ensure(self, name: str) -> Tenant:
        """The tenant of that name, created if there was none. For the tenant of local use."""
        async with self._database.write() as connection:
            tenant = await _find(connection, name)
        if tenant is not None:
            return tenant
        try:
            return await self.create(name, by=GATEWAY)
        except AlreadyExists:
            return await self.get(name)

    async def set_limits(self, name: str, changes: LimitChanges, *, by: "Actor") -> Tenant:
        """Changes some limits. Raises NotFound, InvalidArgument and FailedPrecondition as `_locked` does."""
        await self._ledger.ready()
        async with self._database.write() as connection:
            before = await _locked(connection, name)
            limits = _stored(changes.applied_to(before.limits))
            row = await connection.fetchrow(
                "UPDATE tenant SET limits = $2 WHERE tenant_id = $1 RETURNING *", before.tenant_id, limits
            )
            await self._append(connection, TenantLimitsChanged(_stored(before.limits), limits), before, by)
        return self._remember(_tenant(row))

    async def suspend(self, name: str, *, by: "Actor") -> Tenant:
        """Denies the tenant everything until it is let go on. The second time changes nothing."""
        return await self._move(name, TenantState.SUSPENDED, by)

    async def resume(self, name: str, *, by: "Actor") -> Tenant:
        """Lets a suspended tenant go on. The second time changes nothing."""
        return await self._move(name, TenantState.ACTIVE, by)

    async def offboard(self, name: str, *, by: "Actor") -> Tenant:
        """Denies the tenant for good. The second time changes nothing."""
        return await self._move(name, TenantState.OFFBOARDED, by)

    async def _move(self, name: str, state: TenantState, by: "Actor") -> Tenant:
        await self._ledger.ready()
        async with self._database.write() as connection:
            before = await _locked(connection, name, unless=state)
            if before.state is state:
                return self._remember(before)
            row = await connection.fetchrow(
                "UPDATE tenant SET state = $2 WHERE tenant_id = $1 RETURNING *", before.tenant_id, state.value
            )
            facts = TenantStateChanged(before.state.value, state.value)
            # A tenant can be denied everything whatever has become of the ledger.
            suspends = state is TenantState.SUSPENDED
            await self._append(connection, facts, before, by, while_forked=suspends)
        _log.info("tenant %s is %s", name, state.value)
        return self._remember(_tenant(row))

    async def _append(
        self,
        connection: "Connection",
        facts: "Facts",
        tenant: Tenant,
        by: "Actor",
        *,
        while_forked: bool = False,
    ) -> None:
        subject = f"tenant:{tenant.name}"
        await self._ledger.append(
            connection, facts, subject=subject, by=by, tenant=tenant, while_forked=while_forked
        )

    def _remember(self, tenant: Tenant) -> Tenant:
        """Puts what this process changed into its own memory at once."""
        now = time.monotonic()
        self._kept[tenant.name] = _Kept(tenant, read_at=now, asked_at=now)
        return tenant

    # -- keeping up ------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        while True:
            try:
                async with self._database.listener(CHANNEL, self._changed.set) as connection:
                    while True:
                        self._changed.clear()
                        await self._refresh(connection)
                        await _first_of(self._changed, REFRESH_SECONDS)
            except (IntelGraphError, asyncpg.PostgresError) as error:
                _log.warning("cannot follow changes of tenants: %s", type(error).__name__)
                await asyncio.sleep(REFRESH_SECONDS)

    async def _refresh(self, connection: "Connection") -> None:
        now = time.monotonic()
        for name in [name for name, kept in self._kept.items() if now - kept.asked_at > FORGET_SECONDS]:
            del self._kept[name]
        if not self._kept:
            return
        rows = await connection.fetch("SELECT * FROM tenant WHERE name = ANY ($1::text[])", list(self._kept))
        for row in rows:
            kept = self._kept.get(row["name"])
            # What this process changed meanwhile is younger than what was read.
            if kept is not None and kept.read_at < now:
                kept.tenant, kept.read_at = _tenant(row), now


_CREATE: Final = """
WITH created AS (
  INSERT INTO tenant (tenant_id, name, state, limits) VALUES ($1, $2, 'active', $3) RETURNING *
), clock AS (
  INSERT INTO tenant_clock (tenant_id) VALUES ($1)
)
SELECT * FROM created
"""


async def _find(connection: "Connection", name: str) -> Tenant | None:
    row = await connection.fetchrow("SELECT * FROM tenant WHERE name = $1", name)
    return _tenant(row) if row is not None else None


async def _locked(connection: "Connection", name: str, *, unless: TenantState | None = None) -> Tenant:
    """The tenant, to be changed in this transaction.

    Raises NotFound TENANT_NOT_FOUND, and FailedPrecondition TENANT_OFFBOARDED where that is not what `unless`
    says.
    """
    row = await connection.fetchrow("SELECT * FROM tenant WHERE name = $1 FOR NO KEY UPDATE", name)
    if row is None:
        raise NotFound(
            "TENANT_NOT_FOUND", f"there is no tenant {name}", fix="`intelgraph tenants list` names them"
        )
    tenant = _tenant(row)
    if tenant.state is TenantState.OFFBOARDED and unless is not TenantState.OFFBOARDED:
        raise FailedPrecondition(
            "TENANT_OFFBOARDED",
            f"the tenant {name} is offboarded, for good",
            fix="create a tenant with another name",
        )
    return tenant


def _stored(limits: TenantLimits) -> str:
    return json.dumps(limits.to_stored(), sort_keys=True, separators=(",", ":"))


def _tenant(row: asyncpg.Record | None) -> Tenant:
    if row is None:
        raise AssertionError("a statement with RETURNING gives back the row it wrote")
    return Tenant(
        tenant_id=row["tenant_id"],
        name=row["name"],
        state=TenantState(row["state"]),
        limits=TenantLimits.from_stored(json.loads(row["limits"])),
        created_at=row["created_at"],
    )


async def _first_of(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
