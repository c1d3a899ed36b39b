"""The flags, as every gateway sees them at most two seconds after any of them changed one.

    async with FlagRegistry(database, ledger, approvals) as flags:
        if flags.weakened(Flag.CONTRACTS, tenant.tenant_id): ...

All that is set is in memory, so that asking costs a look-up and never waits. One connection listens for changes, and
reads everything again once a second, in case it missed one. What is two seconds old is not gone by any more: a gateway
that cannot reach the database has the safe value of every flag. Somebody may have made a flag safe meanwhile, and that
must hold everywhere, while a check too many does no harm.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self
from uuid import UUID

import asyncpg

from intelgraph.errors import IntelGraphError, InvalidArgument
from intelgraph.flags import metrics, store
from intelgraph.flags.changes import APPROVAL_KIND, FlagChange, State, document
from intelgraph.flags.snapshot import SAFE, Change, Effective, Setting, Share, Snapshot, effective
from intelgraph.flags.table import FLAGS, Flag
from intelgraph.provenance.actor import GATEWAY, Actor
from intelgraph.provenance.kinds.flags import FlagChanged, FlagEnded
from intelgraph.tenants.registry import Tenant

if TYPE_CHECKING:
    from intelgraph.provenance.ledger import Ledger
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database

CHANNEL: Final = "intelgraph_flag"
REFRESH_SECONDS: Final = 1.0
FRESH_SECONDS: Final = 2.0
"""How long what was read is gone by."""

WRITE_AGAIN_SECONDS: Final = 30.0
"""How long it takes until writing down what ended by itself is tried again."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_log = logging.getLogger(__name__)


class Consents(Protocol):
    """Where approvals are used up; see `Approvals`."""

    async def consume(
        self,
        connection: "Connection",
        *,
        approval_id: UUID | None,
        kind: str,
        tenant: Tenant | None,
        document: Mapping[str, Any],
        by: Actor,
    ) -> object:
        """Raises unless the approval is there, approved, and of exactly this document."""


@dataclass(frozen=True, slots=True)
class _OfTenant:
    """A tenant, as far as the ledger's entries name one."""

    tenant_id: UUID
    name: str


class FlagRegistry:
    """Reads and changes flags. Enter it to have it keep up."""

    def __init__(self, database: "Database", ledger: "Ledger", approvals: Consents) -> None:
        self._database = database
        self._ledger = ledger
        self._approvals = approvals
        self._snapshot: Snapshot = SAFE
        self._fresh_until = 0.0
        self._changed = asyncio.Event()
        self._reading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._refresh()
        self._start(self._listen(), "flag registry")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- reading ---------------------------------------------------------------------------------------

    def weakened(self, flag: Flag, tenant_id: UUID) -> bool:
        """Whether the flag has its weakened value for the tenant, now. Never waits."""
        return time.monotonic() < self._fresh_until and self._snapshot[flag].weakened(flag, tenant_id)

    def effective(self, flag: Flag, tenant_id: UUID) -> Effective:
        """The value that holds for the tenant, and why."""
        rule = self._current()[flag]
        return effective(flag, tenant_id, rule.share, rule.settings.get(tenant_id))

    def with_share(self, flag: Flag, tenant_id: UUID, percent: int) -> Effective:
        """The value that would hold for the tenant with such a share, and all else as it is."""
        return effective(flag, tenant_id, Share(percent), self._current()[flag].settings.get(tenant_id))

    def share(self, flag: Flag) -> Share:
        """The share of tenants that has the weakened value."""
        return self._current()[flag].share

    def _current(self) -> Snapshot:
        return self._snapshot if time.monotonic() < self._fresh_until else SAFE

    # -- changing --------------------------------------------------------------------------------------

    async def change(self, change: FlagChange, approval_id: UUID | None, by: Actor) -> bool:
        """Makes a change that takes effect here at once; False where all is as it says already.

        What weakens uses an approval up. Raises FailedPrecondition APPROVAL_MISSING, which says the approval that it
        takes, and as `Approvals.consume`; InvalidArgument FLAG_UNTIL_PAST.
        """
        await self._ledger.ready(2)
        tenant = change.tenant
        flag = change.kind.flag
        async with self._database.write() as connection:
            state, now = await store.locked(
                connection, flag, tenant.tenant_id if tenant is not None else None
            )
            if not change.changes(state):
                return False
            if change.until is not None and change.until <= now:
                raise InvalidArgument(
                    "FLAG_UNTIL_PAST", "the end that is set is not to come", fix="name a moment to come"
                )
            weakens = change.weakens(state)
            if weakens:
                await self._consume(connection, change, state, approval_id, by)
            await _put(connection, change, Change(now, by.subject, approval_id if weakens else None))
            await self._ledger.append(
                connection,
                FlagChanged(
                    flag=change.kind.name,
                    scope="share" if tenant is None else "tenant",
                    before=change.before(state),
                    after=change.after,
                    share=change.share,
                    until_us=_us(change.until),
                    weakens=weakens,
                    approval_id=str(approval_id) if weakens and approval_id is not None else None,
                ),
                subject=f"flag:{change.kind.name}",
                by=by,
                tenant=tenant,
                # Nobody waits for anything to be safe again.
                while_forked=not weakens,
            )
        _log.info("flag_changed", extra={"flag": change.kind.name, "after": change.after})
        with contextlib.suppress(
            IntelGraphError
        ):  # it is changed; that it is not read back yet is no failure
            await self._refresh()
        return True

    async def _consume(
        self,
        connection: "Connection",
        change: FlagChange,
        state: State,
        approval_id: UUID | None,
        by: Actor,
    ) -> None:
        await self._approvals.consume(
            connection,
            approval_id=approval_id,
            kind=APPROVAL_KIND,
            tenant=change.tenant,
            document=document(change, state),
            by=by,
        )

    # -- keeping up ------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        while True:
            try:
                async with self._database.listener(CHANNEL, self._changed.set) as connection:
                    while True:
                        self._changed.clear()
                        await self._refresh(connection)
                        await self._until_changed()
            except (IntelGraphError, asyncpg.PostgresError) as error:
                _log.warning("cannot follow changes of flags: %s", type(error).__name__)
            except Exception:
                # Without this task every flag would be safe for ever, and nobody would know why.
                _log.exception("following changes of flags failed")
            await asyncio.sleep(REFRESH_SECONDS)

    async def _until_changed(self) -> None:
        try:
            async with asyncio.timeout(REFRESH_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _refresh(self, connection: "Connection | None" = None) -> None:
        async with self._reading:  # or what was read before would replace what was read after
            asked = time.monotonic()
            if connection is not None:
                read = await store.everything(connection)
            else:
                async with self._database.write() as own:
                    read = await store.everything(own)
            self._snapshot, self._fresh_until = read.snapshot, asked + FRESH_SECONDS
        metrics.measure(read.snapshot)
        if read.over and (self._ending is None or self._ending.done()):
            self._ending = self._start(self._end_over(), "flags that are over")

    async def _end_over(self) -> None:
        """Writes down what ended by itself. It has not held since it was over, whether this succeeds or not."""
        try:
            for flag in Flag:
                await self._ledger.ready()
                async with self._database.write() as connection:
                    for over in await store.end_over(connection, flag):
                        kind = FLAGS[flag]
                        await self._ledger.append(
                            connection,
                            FlagEnded(
                                flag=kind.name,
                                scope="share" if over.tenant_id is None else "tenant",
                                value=kind.weakened,
                                share=over.share,
                            ),
                            subject=f"flag:{kind.name}",
                            by=GATEWAY,
                            tenant=_OfTenant(over.tenant_id, over.tenant)
                            if over.tenant_id is not None
                            else None,
                            while_forked=True,
                        )
        except IntelGraphError as error:
            _log.warning("what ended of a flag is not written down yet: %s", error.reason)
            await asyncio.sleep(WRITE_AGAIN_SECONDS)

    def _start(self, work: Any, name: str) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _put(connection: "Connection", change: FlagChange, changed: Change) -> None:
    """Writes what a change says."""
    flag = change.kind.flag
    if change.tenant is None:
        await store.put_share(connection, flag, Share(change.share or 0, change.until, changed))
        return
    weakened = change.weakened
    setting = Setting(weakened, change.until, changed) if weakened is not None else None
    await store.put_setting(connection, flag, change.tenant.tenant_id, setting)


def _us(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)
