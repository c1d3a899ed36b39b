"""What waits for a person to decide, live, on every gateway; and the time that runs out.

    async with Waiting(database, approvals) as waiting:
        async for news in waiting.follow(tenant, caller, kind=""):
            ...

One connection per process listens for moves, whichever gateway made them, and those who follow look again. In
case a notification was missed they look once a second anyway. With the same beat requests whose time is over
expire, and what waits is counted: by every process, and what one has locked the others leave alone.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from uuid import UUID

import asyncpg

from intelgraph.approvals import metrics
from intelgraph.approvals.kinds import KINDS
from intelgraph.approvals.store import CHANNEL
from intelgraph.errors import IntelGraphError

if TYPE_CHECKING:
    from intelgraph.approvals.approval import Approval, Caller
    from intelgraph.approvals.approvals import Approvals
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database
    from intelgraph.tenants.registry import Tenant

BEAT_SECONDS: Final = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class News:
    """An approval, and whether it waits for who follows; without one, that all which waited was told."""

    approval: "Approval | None"
    awaits: bool


CAUGHT_UP: Final = News(None, awaits=False)


class Waiting:
    """One per process. Enter it to be told, and to let approvals expire."""

    def __init__(self, database: "Database", approvals: "Approvals") -> None:
        self._database = database
        self._approvals = approvals
        self._notified = asyncio.Event()
        self._moved = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._listening = asyncio.create_task(self._listen(), name="approvals")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    async def follow(self, tenant: "Tenant", caller: "Caller", *, kind: str = "") -> AsyncIterator[News]:
        """What waits for the caller to decide, oldest first; then `CAUGHT_UP`; then what comes, and what is decided.

        An approval is told again when another person has approved it, and when it waits no more.
        """
        shown: dict[UUID, int] = {}
        caught_up = False
        while True:
            moved = self._moved  # from before it is looked: nothing that moves meanwhile is missed
            try:
                now = await self._approvals.awaiting(tenant, caller, kind=kind)
            except IntelGraphError as error:
                # A restart of PostgreSQL is a pause.
                _log.warning("approvals not read", extra={"why": error.reason})
                await _first_of(moved, BEAT_SECONDS)
                continue
            for approval in now:
                if shown.get(approval.approval_id) != len(approval.decisions):
                    shown[approval.approval_id] = len(approval.decisions)
                    yield News(await self._approvals.get(tenant, approval.approval_id), awaits=True)
            for gone in shown.keys() - {approval.approval_id for approval in now}:
                del shown[gone]
                yield News(await self._approvals.get(tenant, gone), awaits=False)
            if not caught_up:
                caught_up = True
                yield CAUGHT_UP
            await _first_of(moved, BEAT_SECONDS)

    async def _listen(self) -> None:
        while True:
            try:
                async with self._database.listener(CHANNEL, self._notified.set) as connection:
                    await self._tell(connection)
            except (IntelGraphError, asyncpg.PostgresError) as error:
                _log.warning("cannot follow approvals: %s", type(error).__name__)
                await asyncio.sleep(BEAT_SECONDS)

    async def _tell(self, connection: "Connection") -> None:
        next_beat = 0.0
        while True:
            self._notified.clear()
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()
            if time.monotonic() >= next_beat:
                await self._beat(connection)
                next_beat = time.monotonic() + BEAT_SECONDS
            await _first_of(self._notified, BEAT_SECONDS)

    async def _beat(self, connection: "Connection") -> None:
        """Counts what waits, and lets expire what is over."""
        rows = await connection.fetch(_OPEN)
        waiting = {row["kind"]: row["waiting"] for row in rows}
        for kind in KINDS.keys() | waiting.keys():
            metrics.WAITING.labels(kind).set(waiting.get(kind, 0))
        metrics.OLDEST_SECONDS.set(max((row["oldest"] for row in rows), default=0.0))
        if any(row["over"] for row in rows):
            try:
                await self._approvals.expire()
            except IntelGraphError as error:
                # It is refused as expired all the same; only its entry of the ledger is late.
                _log.warning("approvals not expired", extra={"why": error.reason})


_OPEN: Final = """
SELECT kind,
  count(*) FILTER (WHERE waits) AS waiting,
  coalesce(extract(epoch FROM now - min(requested_at) FILTER (WHERE waits)), 0)::float8 AS oldest,
  count(*) FILTER (WHERE expires_at <= now) AS over
FROM (
  SELECT kind, requested_at, expires_at, now, state = 'requested' AND expires_at > now AS waits
  FROM approval, (SELECT clock_timestamp() AS now) AS clock
  WHERE state IN ('requested', 'approved')
) AS open
GROUP BY kind, now
"""


async def _first_of(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
