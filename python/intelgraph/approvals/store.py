"""The rows of approvals: every statement that reads or moves one.

Whoever changes an approval locks its row first (`locked`) and goes by what it then reads, the time included:
so two who act at once act one after the other, and the database says in which order. A moved state is guarded
by the state that was read, and tells all gateways (`CHANNEL`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from intelgraph.approvals.approval import Approval, ApprovalState, Decision, Owner, Signature
from intelgraph.errors import NotFound

if TYPE_CHECKING:
    import asyncpg

    from intelgraph.storage.connection import Connection

CHANNEL: Final = "intelgraph_approval"


@dataclass(frozen=True, slots=True)
class NewApproval:
    """A row that is to be written."""

    approval_id: UUID
    tenant_id: UUID
    platform: bool
    kind: str
    document: bytes
    digest: bytes
    reason: str
    ticket: str
    role: str
    quorum: int
    requested_by: str
    requested_method: str
    lifetime: timedelta
    while_forked: bool


@dataclass(frozen=True, slots=True)
class ApprovalPlace:
    """Where an approval stands in a list, newest first."""

    requested_us: int
    approval_id: UUID


async def insert(connection: "Connection", new: NewApproval) -> Approval:
    """Writes a request; it expires so long after the database's time."""
    row = await connection.fetchrow(
        _INSERT,
        new.tenant_id,
        new.approval_id,
        new.platform,
        new.kind,
        new.document,
        new.digest,
        new.reason,
        new.ticket,
        new.role,
        new.quorum,
        new.requested_by,
        new.requested_method,
        new.lifetime,
        new.while_forked,
    )
    if row is None:
        raise AssertionError("a statement with RETURNING gives back the row it wrote")
    return _approval(row, ())


async def locked(connection: "Connection", tenant_id: UUID, approval_id: UUID) -> tuple[Approval, datetime]:
    """The approval, which nobody else can change until this transaction ends, and the database's time.

    The time is read when the lock is held: what waited for it has not become younger.
    Raises NotFound APPROVAL_NOT_FOUND.
    """
    row = await connection.fetchrow(_LOCK, tenant_id, approval_id)
    if row is None:
        raise not_found(approval_id)
    decided = await connection.fetch(_DECISIONS_NOW, tenant_id, approval_id)
    return _approval(row, _decisions(decided)), decided[0]["now"]


async def expired(connection: "Connection", limit: int) -> Sequence[Approval]:
    """Open approvals of all tenants whose time is over, locked; those that others have locked are left out."""
    rows = await connection.fetch(_EXPIRED, limit)
    return [_approval(row, ()) for row in rows]


async def decide(connection: "Connection", approval: Approval, decision: Decision) -> Approval:
    """Writes what a person said of an approval that is locked, and gives it with that."""
    signature = decision.signature
    await connection.execute(
        _DECIDE,
        approval.owner.tenant_id,
        approval.approval_id,
        decision.approver,
        decision.method,
        decision.word,
        decision.decided_at,
        decision.machine,
        decision.reason,
        decision.statement,
        signature.key_id if signature is not None else None,
        signature.value if signature is not None else None,
    )
    return replace(approval, decisions=(*approval.decisions, decision))


async def move(
    connection: "Connection",
    approval: Approval,
    state: ApprovalState,
    *,
    by: str | None,
    superseded_by: UUID | None = None,
) -> Approval:
    """Moves an approval that is locked to another state, and gives it as it is then."""
    row = await connection.fetchrow(
        _USE if state is ApprovalState.USED else _MOVE,
        approval.owner.tenant_id,
        approval.approval_id,
        approval.state.value,
        state.value,
        by,
        superseded_by,
    )
    if row is None:
        raise AssertionError("nobody else moves a row that is locked")
    return _approval(row, approval.decisions)


async def get(connection: "Connection", tenant_id: UUID, approval_id: UUID) -> Approval:
    """The approval as it is now. Raises NotFound APPROVAL_NOT_FOUND."""
    row = await connection.fetchrow(_GET, tenant_id, approval_id)
    if row is None:
        raise not_found(approval_id)
    return _approval(row, _decisions(await connection.fetch(_DECISIONS_NOW, tenant_id, approval_id)))


async def page(
    connection: "Connection",
    tenant_id: UUID,
    *,
    states: Sequence[str],
    kind: str,
    before: ApprovalPlace | None,
    limit: int,
) -> Sequence[Approval]:
    """Approvals without their documents, newest first; of all states and kinds where none is named."""
    place = (before.requested_us, before.approval_id) if before is not None else (None, None)
    rows = await connection.fetch(_PAGE, tenant_id, list(states), kind, *place, limit)
    return await _with_decisions(connection, tenant_id, rows)


async def awaiting(
    connection: "Connection", tenant_id: UUID, name: str, roles: Sequence[str], kind: str, limit: int
) -> Sequence[Approval]:
    """Approvals without their documents that wait for holders of the roles, oldest first.

    What `name` asked for or decided on is left out; whether other names are the same person's, `rules` knows.
    """
    rows = await connection.fetch(_AWAITING, tenant_id, name, list(roles), kind, limit)
    return await _with_decisions(connection, tenant_id, rows)


def not_found(approval_id: UUID) -> NotFound:
    """The refusal of an approval that the tenant does not have."""
    return NotFound(
        "APPROVAL_NOT_FOUND",
        f"there is no approval {approval_id}",
        fix="`intelgraph approvals list` names them",
    )


async def _with_decisions(
    connection: "Connection", tenant_id: UUID, rows: "Sequence[asyncpg.Record]"
) -> Sequence[Approval]:
    decided = await connection.fetch(_DECISIONS_OF, tenant_id, [row["approval_id"] for row in rows])
    by_approval: dict[UUID, list[Any]] = {}
    for row in decided:
        by_approval.setdefault(row["approval_id"], []).append(row)
    return [_approval(row, _decisions(by_approval.get(row["approval_id"], ()))) for row in rows]


def _approval(row: "asyncpg.Record", decisions: tuple[Decision, ...]) -> Approval:
    values = dict(row)
    owner = Owner(values.pop("tenant_id"), values.pop("tenant"))
    state = ApprovalState(values.pop("state"))
    return Approval(owner=owner, state=state, decisions=decisions, **values)


def _decisions(rows: "Sequence[asyncpg.Record]") -> tuple[Decision, ...]:
    return tuple(_decision(row) for row in rows if row["approver"] is not None)


def _decision(row: "asyncpg.Record") -> Decision:
    signature = None
    if row["key_id"] is not None:
        signature = Signature(row["algorithm"], row["key_id"], row["public_key"], row["signature"])
    return Decision(
        approver=row["approver"],
        method=row["method"],
        word=row["decision"],
        decided_at=row["decided_at"],
        machine=row["machine"],
        reason=row["reason"],
        statement=row["statement"],
        signature=signature,
    )


_FACTS: Final = """
tenant_id, (SELECT name FROM tenant WHERE tenant.tenant_id = approval.tenant_id) AS tenant, approval_id, platform,
origin, kind, digest, reason, ticket, role, quorum, requested_by, requested_method, requested_at, expires_at,
settled_by, settled_at, superseded_by, owed
"""
_ROW: Final = f"{_FACTS}, document, state"
# What is over and was not swept yet is shown as what it is.
_NOW_STATE: Final = """
CASE WHEN state IN ('requested', 'approved') AND expires_at <= clock_timestamp() THEN 'expired' ELSE state END
"""

_INSERT: Final = f"""
WITH written AS (
  INSERT INTO approval (tenant_id, approval_id, platform, origin, kind, document, digest, reason, ticket, role,
    quorum, requested_by, requested_method, requested_at, expires_at, owed)
  SELECT $1, $2, $3, ledger_log.origin, $4, $5, $6, $7, $8, $9, $10, $11, $12, now.now, now.now + $13::interval,
    $14 AND ledger_log.fork_index IS NOT NULL
  FROM ledger_log, (SELECT clock_timestamp() AS now) AS now
  RETURNING {_ROW}
), announced AS (SELECT pg_notify('{CHANNEL}', '') FROM written)
SELECT written.* FROM written, announced
"""  # noqa: S608 (composed of constants of this module)

_LOCK: Final = f"""
SELECT {_ROW} FROM approval WHERE tenant_id = $1 AND approval_id = $2 FOR NO KEY UPDATE
"""  # noqa: S608 (composed of constants of this module)

_DECIDED: Final = """
said.approval_id, said.approver, said.method, said.decision, said.decided_at, said.machine, said.reason,
said.statement, said.key_id, said.signature, owned.algorithm, owned.public_key
"""

_KEYS: Final = "LEFT JOIN approver_key AS owned ON owned.tenant_id = $1 AND owned.key_id = said.key_id"

# At least one row, for the time.
_DECISIONS_NOW: Final = f"""
SELECT clock_timestamp() AS now, {_DECIDED}
FROM (SELECT) AS once
LEFT JOIN approval_decision AS said ON said.tenant_id = $1 AND said.approval_id = $2
{_KEYS}
ORDER BY said.decided_at, said.approver
"""  # noqa: S608 (composed of constants of this module)

_DECISIONS_OF: Final = f"""
SELECT {_DECIDED}
FROM approval_decision AS said {_KEYS}
WHERE said.tenant_id = $1 AND said.approval_id = ANY ($2::uuid[])
ORDER BY said.decided_at, said.approver
"""  # noqa: S608 (composed of constants of this module)

_EXPIRED: Final = f"""
SELECT {_ROW} FROM approval
WHERE state IN ('requested', 'approved') AND expires_at <= clock_timestamp()
ORDER BY tenant_id, expires_at LIMIT $1
FOR NO KEY UPDATE SKIP LOCKED
"""  # noqa: S608 (composed of constants of this module)

_DECIDE: Final = f"""
WITH said AS (
  INSERT INTO approval_decision (tenant_id, approval_id, approver, method, decision, decided_at, machine, reason,
    statement, key_id, signature)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
  RETURNING approval_id
)
SELECT pg_notify('{CHANNEL}', '') FROM said
"""  # noqa: S608 (composed of constants of this module)

_MOVED: Final = f"""
UPDATE approval SET state = $4, settled_by = $5, superseded_by = $6::uuid,
  settled_at = CASE WHEN $4 = ANY ('{{requested,approved}}'::text[]) THEN NULL ELSE clock_timestamp() END
WHERE tenant_id = $1 AND approval_id = $2 AND state = $3
RETURNING {_ROW}
"""  # noqa: S608 (composed of constants of this module)

_MOVE: Final = f"""
WITH moved AS ({_MOVED}), announced AS (SELECT pg_notify('{CHANNEL}', '') FROM moved)
SELECT moved.* FROM moved, announced
"""  # noqa: S608 (composed of constants of this module)

# Nobody waits for an approval that was approved: that it is used need not be told.
_USE: Final = _MOVED

_GET: Final = f"""
SELECT {_FACTS}, document, {_NOW_STATE} AS state
FROM approval WHERE tenant_id = $1 AND approval_id = $2
"""  # noqa: S608 (composed of constants of this module)

# A bound that is computed stands in a sub-select: row-level security lets only plain values near an index.
_PAGE: Final = f"""
SELECT {_FACTS}, ''::bytea AS document, {_NOW_STATE} AS state FROM approval
WHERE tenant_id = $1 AND ($3 = '' OR kind = $3) AND ($2::text[] = '{{}}' OR {_NOW_STATE} = ANY ($2::text[]))
  AND (requested_at, approval_id) < (
    (SELECT coalesce(timestamptz 'epoch' + $4::bigint * interval '1 microsecond', 'infinity')),
    (SELECT coalesce($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')))
ORDER BY requested_at DESC, approval_id DESC LIMIT $6
"""  # noqa: S608 (composed of constants of this module)

_AWAITING: Final = f"""
SELECT {_FACTS}, ''::bytea AS document, state FROM approval
WHERE tenant_id = $1 AND state = 'requested' AND expires_at > clock_timestamp()
  AND requested_by <> $2 AND role = ANY ($3::text[]) AND ($4 = '' OR kind = $4)
  AND NOT EXISTS (
    SELECT FROM approval_decision AS said
    WHERE said.tenant_id = $1 AND said.approval_id = approval.approval_id AND said.approver = $2)
ORDER BY requested_at, approval_id LIMIT $5
"""  # noqa: S608 (composed of constants of this module)
