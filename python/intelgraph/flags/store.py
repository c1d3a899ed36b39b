"""The rows of flags. All statements are the writer's."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from intelgraph.flags.changes import State
from intelgraph.flags.snapshot import Change, Rule, Setting, Share, Snapshot
from intelgraph.flags.table import Flag

if TYPE_CHECKING:
    import asyncpg

    from intelgraph.storage.connection import Connection

_SHARES: Final = """
SELECT flag, share, until, changed_at, changed_by, approval_id, until <= clock_timestamp() AS over FROM flag_share
"""
_SETTINGS: Final = """
SELECT tenant_id, flag, weakened, until, changed_at, changed_by, approval_id, until <= clock_timestamp() AS over
FROM flag_setting
"""


@dataclass(frozen=True, slots=True)
class Read:
    """All that is set, and whether something of it is over and still there."""

    snapshot: Snapshot
    over: bool


async def everything(connection: "Connection") -> Read:
    """What is set now. What is over is left out, whoever comes to remove it."""
    shares = await connection.fetch(_SHARES)
    settings = await connection.fetch(_SETTINGS)
    over = any(row["over"] for row in (*shares, *settings))
    by_flag: dict[Flag, dict[UUID, Setting]] = {flag: {} for flag in Flag}
    for row in settings:
        if not row["over"]:
            by_flag[Flag(row["flag"])][row["tenant_id"]] = _setting(row)
    # A flag that a later version has added is not this one's to act on.
    known = {flag.value: flag for flag in Flag}
    share_of = {known[row["flag"]]: _share(row) for row in shares if row["flag"] in known and not row["over"]}
    return Read({flag: Rule(share_of.get(flag, Share()), by_flag[flag]) for flag in Flag}, over)


async def locked(connection: "Connection", flag: Flag, tenant_id: UUID | None) -> tuple[State, datetime]:
    """What is set of a flag, and the database's time; nobody else changes the flag until the transaction ends."""
    share = await connection.fetchrow(f"{_SHARES} WHERE flag = $1 FOR UPDATE", flag.value)
    if share is None:
        raise AssertionError("the migration made a row for each flag")
    now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    own = None
    if tenant_id is not None:
        own = await connection.fetchrow(
            f"{_SETTINGS} WHERE tenant_id = $1 AND flag = $2", tenant_id, flag.value
        )
    return (
        State(
            Share() if share["over"] else _share(share),
            None if own is None or own["over"] else _setting(own),
        ),
        now,
    )


async def put_share(connection: "Connection", flag: Flag, share: Share) -> None:
    """Sets a share."""
    changed = share.changed
    await connection.execute(
        "UPDATE flag_share SET share = $2, until = $3, changed_at = $4, changed_by = $5, approval_id = $6"
        " WHERE flag = $1",
        flag.value,
        share.percent,
        share.until,
        changed.at if changed is not None else None,
        changed.by if changed is not None else None,
        changed.approval_id if changed is not None else None,
    )


async def put_setting(connection: "Connection", flag: Flag, tenant_id: UUID, setting: Setting | None) -> None:
    """Sets what a tenant has set for itself, or that it has set nothing."""
    await connection.execute(
        "DELETE FROM flag_setting WHERE tenant_id = $1 AND flag = $2", tenant_id, flag.value
    )
    if setting is not None:
        await connection.execute(
            "INSERT INTO flag_setting (tenant_id, flag, weakened, until, changed_at, changed_by, approval_id)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            tenant_id,
            flag.value,
            setting.weakened,
            setting.until,
            setting.changed.at,
            setting.changed.by,
            setting.changed.approval_id,
        )


@dataclass(frozen=True, slots=True)
class Over:
    """Something weakened that was over, and is gone."""

    tenant_id: UUID | None
    """None for a share."""
    tenant: str
    share: int | None


async def end_over(connection: "Connection", flag: Flag) -> Iterable[Over]:
    """Takes away what of a flag is over. Of two gateways that come to do it, one finds something."""
    await connection.fetchval("SELECT 1 FROM flag_share WHERE flag = $1 FOR UPDATE", flag.value)
    share = await connection.fetchval(
        "SELECT share FROM flag_share WHERE flag = $1 AND until <= clock_timestamp()", flag.value
    )
    if share is not None:
        await connection.execute(
            "UPDATE flag_share SET share = 0, until = NULL, changed_at = until, changed_by = 'gateway',"
            " approval_id = NULL WHERE flag = $1",
            flag.value,
        )
    rows = await connection.fetch(
        "DELETE FROM flag_setting AS setting USING tenant WHERE setting.flag = $1"
        " AND setting.until <= clock_timestamp() AND tenant.tenant_id = setting.tenant_id"
        " RETURNING setting.tenant_id, tenant.name",
        flag.value,
    )
    shares = [Over(None, "", share)] if share is not None else []
    return [*shares, *(Over(row["tenant_id"], row["name"], None) for row in rows)]


def _share(row: "asyncpg.Record") -> Share:
    return Share(row["share"], row["until"], _changed(row) if row["changed_at"] is not None else None)


def _setting(row: "asyncpg.Record") -> Setting:
    return Setting(row["weakened"], row["until"], _changed(row))


def _changed(row: "asyncpg.Record") -> Change:
    return Change(row["changed_at"], row["changed_by"], row["approval_id"])
