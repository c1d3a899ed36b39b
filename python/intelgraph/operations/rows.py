"""The rows of operations: claimed by one holder at a time, moved only under the epoch that the holder was given.

Times are microseconds since the Unix epoch; leases and deadlines are by the database's clock, and no other. A lease
that ends later than a whole lease from now was given before that clock was set back, and counts for nothing: a dead
holder keeps an operation for two leases at most, and a living one that loses it commits nothing more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

import asyncpg

from intelgraph.operations.operation import Operation, OperationState

if TYPE_CHECKING:
    from intelgraph.storage.connection import Connection


def _us(moment: str) -> str:
    return f"(extract(epoch FROM {moment}) * 1000000)::bigint"


_COLUMNS: Final = f"""
  operation.operation_id, operation.kind, operation.state, operation.input, operation.memory,
  {_us("operation.created_at")} AS created_us, operation.created_by, {_us("operation.deadline")} AS deadline_us,
  {_us("operation.started_at")} AS started_us, {_us("operation.updated_at")} AS updated_us,
  {_us("operation.finished_at")} AS finished_us, operation.holder, operation.step, operation.steps, operation.done,
  operation.total, operation.rate, operation.yielding, operation.attempts, operation.cancelled_by, operation.reason,
  operation.message, operation.undone
"""


def _operation(row: asyncpg.Record) -> Operation:
    values = dict(row)
    values["state"] = OperationState(values["state"])
    return Operation(**values)


# -- asking for one, and reading -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewOperation:
    """What is asked for."""

    operation_id: UUID
    kind: str
    exclusive: bool
    input: str
    memory: str
    created_by: str
    created_method: str
    deadline_seconds: float | None


_ADD: Final = f"""
INSERT INTO operation AS operation
  (tenant_id, operation_id, kind, exclusive, state, input, memory, created_by, created_method, deadline)
VALUES ($1, $2, $3, $4, 'waiting', $5, $6, $7, $8, clock_timestamp() + interval '1 second' * $9::float8)
ON CONFLICT DO NOTHING
RETURNING {_COLUMNS}
"""  # noqa: S608 (composed of constants of this module)


async def add(connection: "Connection", tenant_id: UUID, new: NewOperation) -> Operation | None:
    """The new row; None if the tenant has an open one of an exclusive kind. For the writer."""
    row = await connection.fetchrow(
        _ADD,
        tenant_id,
        new.operation_id,
        new.kind,
        new.exclusive,
        new.input,
        new.memory,
        new.created_by,
        new.created_method,
        new.deadline_seconds,
    )
    return None if row is None else _operation(row)


async def open_one(connection: "Connection", tenant_id: UUID, kind: str) -> UUID | None:
    """An operation of the kind that is not at its end. For the writer and the reader."""
    found: UUID | None = await connection.fetchval(
        "SELECT operation_id FROM operation WHERE tenant_id = $1 AND kind = $2"
        " AND state IN ('waiting', 'running', 'cancelling') ORDER BY created_at LIMIT 1",
        tenant_id,
        kind,
    )
    return found


_GET: Final = f"SELECT {_COLUMNS} FROM operation WHERE tenant_id = $1 AND operation_id = $2"  # noqa: S608


async def get(connection: "Connection", tenant_id: UUID, operation_id: UUID) -> Operation | None:
    """An operation. For the writer and the reader."""
    row = await connection.fetchrow(_GET, tenant_id, operation_id)
    return None if row is None else _operation(row)


@dataclass(frozen=True, slots=True)
class OperationPlace:
    """Where an operation stands in a list, newest first."""

    created_us: int
    operation_id: UUID


_PAGE: Final = f"""
SELECT {_COLUMNS} FROM operation
WHERE operation.tenant_id = $1 AND ($2::text = '' OR operation.kind = $2)
  AND (cardinality($3::text[]) = 0 OR operation.state = ANY ($3))
  AND (operation.created_at, operation.operation_id) < (
    (SELECT coalesce(timestamptz 'epoch' + interval '1 second' * ($4::bigint / 1000000)
      + interval '1 microsecond' * ($4 % 1000000), 'infinity')),
    (SELECT coalesce($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')))
ORDER BY operation.created_at DESC, operation.operation_id DESC LIMIT $6
"""  # noqa: S608 (composed of constants of this module)


async def page(
    connection: "Connection",
    tenant_id: UUID,
    *,
    kind: str,
    states: Sequence[OperationState],
    before: OperationPlace | None,
    limit: int,
) -> Sequence[Operation]:
    """At most `limit` operations older than `before`, newest first; no kind and no state mean all. For the reader."""
    place = (before.created_us, before.operation_id) if before is not None else (None, None)
    rows = await connection.fetch(_PAGE, tenant_id, kind, [each.value for each in states], *place, limit)
    return [_operation(row) for row in rows]


_CANCEL: Final = f"""
UPDATE operation SET
  state = CASE state WHEN 'waiting' THEN 'cancelled' ELSE 'cancelling' END,
  finished_at = CASE state WHEN 'waiting' THEN clock_timestamp() END,
  undone = CASE state WHEN 'waiting' THEN $4 ELSE undone END,
  cancelled_by = $3, not_before = '-infinity', updated_at = clock_timestamp()
WHERE tenant_id = $1 AND operation_id = $2 AND state IN ('waiting', 'running')
RETURNING {_COLUMNS}
"""  # noqa: S608 (composed of constants of this module)


async def cancel(
    connection: "Connection", tenant_id: UUID, operation_id: UUID, by: str, nothing_undone: str
) -> Operation | None:
    """Has an operation cancelled: at once where it has not begun. None if it is cancelled or at its end already, or
    not there. For the writer.
    """
    row = await connection.fetchrow(_CANCEL, tenant_id, operation_id, by, nothing_undone)
    return None if row is None else _operation(row)


# -- holding one -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Held:
    """An operation that this process may go on with, under this epoch."""

    tenant_id: UUID
    tenant: str
    created_method: str
    epoch: int
    operation: Operation


_FREE: Final = """
  operation.not_before <= clock_timestamp() AND (
    operation.lease_until < clock_timestamp()
    OR operation.lease_until > clock_timestamp() + interval '1 second' * operation.lease_seconds
  )
"""

_CLAIM: Final = f"""
WITH candidate AS MATERIALIZED (
  SELECT operation.tenant_id, operation.operation_id, (
    SELECT min(free) FROM generate_series(0, $4::int - 1) AS free
    WHERE NOT EXISTS (
      SELECT FROM operation AS other WHERE other.tenant_id = operation.tenant_id AND other.slot = free
    )
  ) AS free
  FROM operation
  WHERE operation.state IN ('waiting', 'running', 'cancelling') AND operation.kind = ANY ($3::text[]) AND {_FREE}
    AND (operation.slot IS NOT NULL OR (
      SELECT count(*) FROM operation AS other
      WHERE other.tenant_id = operation.tenant_id AND other.slot IS NOT NULL
    ) < $4)
  ORDER BY operation.created_at LIMIT 1
  FOR UPDATE OF operation SKIP LOCKED
)
UPDATE operation SET
  state = CASE operation.state WHEN 'waiting' THEN 'running' ELSE operation.state END,
  slot = coalesce(operation.slot, candidate.free), epoch = operation.epoch + 1, holder = $1,
  lease_until = clock_timestamp() + interval '1 second' * $2::float8, lease_seconds = $2,
  started_at = coalesce(operation.started_at, clock_timestamp()), updated_at = clock_timestamp(), yielding = false
FROM candidate JOIN tenant USING (tenant_id)
WHERE operation.tenant_id = candidate.tenant_id AND operation.operation_id = candidate.operation_id
RETURNING operation.tenant_id, tenant.name AS tenant, operation.created_method, operation.epoch, {_COLUMNS}
"""  # noqa: S608 (composed of constants of this module)

_HELD: Final = ("tenant_id", "tenant", "created_method", "epoch")


async def claim(
    connection: "Connection", holder: str, lease_seconds: float, kinds: Sequence[str], per_tenant: int
) -> Held | None:
    """Takes the oldest operation of these kinds that nobody holds, of a tenant that has a slot left. For the writer, in
    a transaction of its own: raises UniqueViolationError where another was quicker with the slot.
    """
    row = await connection.fetchrow(_CLAIM, holder, lease_seconds, list(kinds), per_tenant)
    if row is None:
        return None
    values = dict(row)
    held = {name: values.pop(name) for name in _HELD}
    values["state"] = OperationState(values["state"])
    return Held(**held, operation=Operation(**values))


_RENEW: Final = """
UPDATE operation SET lease_until = clock_timestamp() + interval '1 second' * $4::float8, lease_seconds = $4
WHERE tenant_id = $1 AND operation_id = $2 AND epoch = $3 AND state IN ('running', 'cancelling')
RETURNING state, coalesce(deadline < clock_timestamp(), false) AS late
"""


@dataclass(frozen=True, slots=True)
class Grip:
    """What the holder is told when it takes hold of its row."""

    state: OperationState
    late: bool
    """Whether its deadline has passed."""


async def renew(connection: "Connection", held: Held, lease_seconds: float) -> Grip | None:
    """Prolongs the lease, and locks the row until the transaction ends; None if somebody else holds it now. For the
    writer: the first statement of every step.
    """
    row = await connection.fetchrow(
        _RENEW, held.tenant_id, held.operation.operation_id, held.epoch, lease_seconds
    )
    return None if row is None else Grip(OperationState(row["state"]), row["late"])


_BEGIN_OUTSIDE: Final = """
INSERT INTO operation_step (tenant_id, operation_id, number, phase, step, epoch)
SELECT tenant_id, operation_id, steps + 1, 'begin', $4, $3 FROM operation
WHERE tenant_id = $1 AND operation_id = $2 AND epoch = $3
ON CONFLICT DO NOTHING
"""


async def begin_outside(connection: "Connection", held: Held, step: str) -> None:
    """Journals that a step is about to act outside of the database. Under the row's lock."""
    await connection.execute(_BEGIN_OUTSIDE, held.tenant_id, held.operation.operation_id, held.epoch, step)


_DONE: Final = """
WITH moved AS (
  UPDATE operation SET memory = $4, step = $5, steps = steps + 1, done = $6, total = $7, rate = $8, attempts = 0,
    reason = '', message = '', yielding = false, updated_at = clock_timestamp()
  WHERE tenant_id = $1 AND operation_id = $2 AND epoch = $3
  RETURNING tenant_id, operation_id, steps
)
INSERT INTO operation_step (tenant_id, operation_id, number, phase, step, epoch)
SELECT tenant_id, operation_id, steps, 'done', $5, $3 FROM moved
"""


async def record_step(
    connection: "Connection",
    held: Held,
    *,
    step: str,
    memory: str,
    done: int,
    total: int | None,
    rate: float,
) -> None:
    """Journals a step, in the transaction of its effect and under the row's lock."""
    await connection.execute(
        _DONE, held.tenant_id, held.operation.operation_id, held.epoch, memory, step, done, total, rate
    )


_REREAD: Final = f"""
SELECT {_COLUMNS} FROM operation WHERE tenant_id = $1 AND operation_id = $2 AND epoch = $3
  AND state IN ('running', 'cancelling')
"""  # noqa: S608 (composed of constants of this module)


async def reread(connection: "Connection", held: Held) -> Operation | None:
    """The operation as it is committed; None if somebody else holds it now. For the writer."""
    row = await connection.fetchrow(_REREAD, held.tenant_id, held.operation.operation_id, held.epoch)
    return None if row is None else _operation(row)


_FINISH: Final = """
UPDATE operation SET state = $4, slot = NULL, lease_until = '-infinity', finished_at = clock_timestamp(),
  updated_at = clock_timestamp(), yielding = false, reason = $5, message = $6, undone = $7
WHERE tenant_id = $1 AND operation_id = $2 AND epoch = $3 AND state IN ('running', 'cancelling')
"""


async def finish(
    connection: "Connection", held: Held, state: OperationState, *, reason: str, message: str, undone: str
) -> None:
    """Ends an operation, under the row's lock."""
    await connection.execute(
        _FINISH,
        held.tenant_id,
        held.operation.operation_id,
        held.epoch,
        state.value,
        reason,
        message,
        undone,
    )


_PUT_BACK: Final = """
UPDATE operation SET lease_until = '-infinity', yielding = false, updated_at = clock_timestamp(),
  not_before = clock_timestamp() + interval '1 second' * $4::float8,
  attempts = attempts + CASE WHEN $5 = '' THEN 0 ELSE 1 END, reason = $5, message = $6
WHERE tenant_id = $1 AND operation_id = $2 AND epoch = $3 AND state IN ('running', 'cancelling')
"""


async def put_back(
    connection: "Connection", held: Held, after_seconds: float, reason: str = "", message: str = ""
) -> None:
    """Lets go of an operation: whoever claims it next goes on. It keeps its slot. For the writer."""
    await connection.execute(
        _PUT_BACK,
        held.tenant_id,
        held.operation.operation_id,
        held.epoch,
        after_seconds,
        reason,
        message,
    )


async def set_yielding(connection: "Connection", held: Held, yielding: bool) -> None:
    """Shows whether an operation waits for live traffic. For the writer."""
    await connection.execute(
        "UPDATE operation SET yielding = $4, updated_at = clock_timestamp()"
        " WHERE tenant_id = $1 AND operation_id = $2 AND epoch = $3",
        held.tenant_id,
        held.operation.operation_id,
        held.epoch,
        yielding,
    )


@dataclass(frozen=True, slots=True)
class Backlog:
    """Open operations of all tenants."""

    waiting: int
    running: int
    oldest_seconds: float


_BACKLOG: Final = """
SELECT count(*) FILTER (WHERE slot IS NULL) AS waiting, count(*) FILTER (WHERE slot IS NOT NULL) AS running,
  coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS oldest_seconds
FROM operation WHERE state IN ('waiting', 'running', 'cancelling')
"""


async def backlog(connection: "Connection") -> Backlog:
    """What is open. For the writer."""
    row = await connection.fetchrow(_BACKLOG)
    return Backlog(0, 0, 0.0) if row is None else Backlog(**row)
