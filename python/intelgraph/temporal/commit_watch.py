"""Tells who follows a tenant's log that it has grown, whichever gateway committed.

This process's own commits are known at once. Those of others show in the tenant's clock row, which is looked
at several times a second as long as anyone follows the tenant. Nothing is read from here but that there is
something to read: a commit that is noticed late is late, and none is lost.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from intelgraph.errors import IntelGraphError
from intelgraph.storage import change_log

if TYPE_CHECKING:
    from intelgraph.storage.database import Database

POLL_SECONDS: Final = 0.25

_log = logging.getLogger(__name__)


class Watched:
    """One tenant that is followed."""

    def __init__(self) -> None:
        self._seq = 0
        self._moved = asyncio.Event()

    def advance(self, seq: int) -> None:
        """The last change is at least `seq`."""
        if seq > self._seq:
            self._seq = seq
            self._moved.set()
            self._moved = asyncio.Event()

    async def beyond(self, seq: int, seconds: float) -> bool:
        """Waits until the log has a change after `seq`, at most so long; whether it has."""
        try:
            async with asyncio.timeout(seconds):
                while self._seq <= seq:
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True


@dataclass(slots=True)
class _Following:
    """A tenant's followers, and the task that looks at its clock row for all of them."""

    watched: Watched
    polling: asyncio.Task[None]
    followers: int = 0


class CommitWatch:
    """One per process. `committed` is the intake's callback."""

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._following: dict[UUID, _Following] = {}

    def committed(self, tenant_id: UUID, seq: int) -> None:
        """This process committed changes up to `seq`."""
        if (following := self._following.get(tenant_id)) is not None:
            following.watched.advance(seq)

    @asynccontextmanager
    async def following(self, tenant_id: UUID) -> AsyncIterator[Watched]:
        """Watches the tenant for as long as the block runs."""
        following = self._following.get(tenant_id)
        if following is None:
            watched = Watched()
            polling = asyncio.create_task(self._poll(tenant_id, watched), name=f"watch {tenant_id}")
            following = self._following[tenant_id] = _Following(watched, polling)
        following.followers += 1
        try:
            yield following.watched
        finally:
            following.followers -= 1
            if not following.followers:
                del self._following[tenant_id]
                following.polling.cancel()

    async def _poll(self, tenant_id: UUID, watched: Watched) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                async with self._database.read(tenant_id) as connection:
                    watched.advance(await change_log.watermark(connection, tenant_id))
            except IntelGraphError as error:
                # A restart of PostgreSQL is a pause: whoever follows waits, and misses nothing.
                _log.warning("clock not read", extra={"tenant_id": str(tenant_id), "why": error.reason})
