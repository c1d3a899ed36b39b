"""Runs operations: claims one that nobody holds, goes on with it at its next step, and lets go of it at its end.

Every gateway process has a runner. A holder renews its lease at a third of it; when it dies another claims the
operation once the lease has run out, and goes on after the last committed step. The lease only says when that is worth
trying: what keeps two holders apart is the epoch, which every claim raises and every step's transaction names. So a
holder that was stalled, or whose clock or whose database's clock was set, commits nothing once another has claimed.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import asyncpg

from intelgraph.errors import IntelGraphError, Unavailable, wrap_unexpected
from intelgraph.operations import metrics, rows
from intelgraph.operations.kind import Step, Work
from intelgraph.operations.meter import Meter
from intelgraph.operations.operation import Operation, OperationState
from intelgraph.operations.operations import finished_act
from intelgraph.operations.stored import from_stored, to_stored
from intelgraph.provenance.actor import Actor
from intelgraph.storage.faults import is_transient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from intelgraph.operations.catalogue import AnyKind, Catalogue
    from intelgraph.operations.pace import Pace
    from intelgraph.operations.rows import Held
    from intelgraph.operations.settings import OperationSettings
    from intelgraph.provenance.ledger import Ledger
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database
    from intelgraph.tenants.registry import TenantRegistry

POLL_SECONDS: Final = 1.0
MEASURE_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 0.5
"""After a passing fault of the database, while the lease lasts."""
PUT_BACK_SECONDS: Final = 15.0
MOST_ATTEMPTS: Final = 20
"""How often an operation is put back for another passing fault, such as a KMS that does not answer, until it fails."""

AfterStep = Callable[[str], None]
"""Told where a holder is, between any two things that it does: `step.where`. For tests, which end it there."""

_log = logging.getLogger(__name__)


class Superseded(Exception):
    """Another gateway holds the operation now."""


class _Cancelled(Exception):
    """Somebody cancelled the operation since its step was prepared."""


class _DeadlinePassed(Exception):
    """The operation has taken longer than it may."""


class Runner:
    """The runner of a process. Enter it to run operations while the block does."""

    def __init__(
        self,
        database: "Database",
        catalogue: "Catalogue",
        tenants: "TenantRegistry",
        ledger: "Ledger",
        settings: "OperationSettings",
        pace: "Pace",
        *,
        holder: str = "",
        after_step: AfterStep = lambda where: None,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._tenants = tenants
        self._ledger = ledger
        self._settings = settings
        self._pace = pace
        self._holder = holder or f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:8]}"
        self._after_step = after_step
        self._wake = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def running(self) -> "AsyncIterator[None]":
        """Claims and runs operations while the block does; what is under way at its end is handed back."""
        self._task = asyncio.create_task(self._run(), name="operations")
        try:
            yield
        finally:
            self._task.cancel()
            held = [self._task, *self._running]
            for task in held:
                task.cancel()
            await asyncio.gather(*held, return_exceptions=True)

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    # -- claiming ---------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        measured_at = float("-inf")
        while True:
            self._wake.clear()
            claimed = None
            try:
                if time.monotonic() - measured_at >= MEASURE_SECONDS:
                    await self._measure()
                    measured_at = time.monotonic()
                if len(self._running) < self._settings.per_process:
                    claimed = await self.claim()
            except IntelGraphError as error:
                _log.warning("operations not claimed", extra={"why": error.reason})
            except Exception:
                _log.exception("claiming operations failed")
            if claimed is None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)
                continue
            task = asyncio.create_task(self.hold(claimed), name=f"operation {claimed.operation.operation_id}")
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake.set()

    async def claim(self) -> "Held | None":
        """Takes an operation that nobody holds, if there is one and its tenant has a slot left."""
        settings = self._settings
        try:
            async with self._database.write() as connection:
                return await rows.claim(
                    connection,
                    self._holder,
                    settings.lease_seconds,
                    self._catalogue.names,
                    settings.per_tenant,
                )
        except asyncpg.UniqueViolationError:
            return None  # another took the slot; what is left is found at the next look

    async def _measure(self) -> None:
        async with self._database.write() as connection:
            backlog = await rows.backlog(connection)
        metrics.WAITING.set(backlog.waiting)
        metrics.RUNNING.set(backlog.running)
        metrics.OLDEST_SECONDS.set(backlog.oldest_seconds)

    # -- holding ----------------------------------------------------------------------------------------------

    async def hold(self, held: "Held") -> None:
        """Goes on with an operation until its end, until it is put back, or until another has claimed it."""
        self._after_step("claimed")
        work = asyncio.create_task(self._work(held))
        renewing = asyncio.create_task(self._renew(held, work))
        try:
            await work
        except Superseded:
            _log.info("operation_superseded", extra=_named(held))
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            with suppress(Exception):
                # The gateway stops, or lost its lease: whoever is next need not wait for it to run out.
                async with self._database.write() as connection:
                    await rows.put_back(connection, held, 0.0)
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
        except Exception:
            _log.exception("operation_left", extra=_named(held))
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self, held: "Held", work: asyncio.Task[None]) -> None:
        lease = self._settings.lease_seconds
        renewed_at = time.monotonic()
        while True:
            await asyncio.sleep(lease / 3)
            try:
                async with self._database.write() as connection:
                    grip = await rows.renew(connection, held, lease)
            except Exception as error:
                if not is_transient(error):
                    _log.warning("lease not renewed", exc_info=error, extra=_named(held))
                if time.monotonic() - renewed_at > lease:
                    # Another may have it. No step would commit; nothing outside should be done either.
                    work.cancel()
                    return
                continue
            renewed_at = time.monotonic()
            if grip is None:
                work.cancel()
                return

    async def _work(self, held: "Held") -> None:
        kind = self._catalogue.named(held.operation.kind)
        if kind is None:
            raise AssertionError("only kinds of the catalogue are claimed")
        meter, is_fresh = Meter(held.operation.rate), True
        while True:
            try:
                if not is_fresh:
                    held, is_fresh = await self._reread(held), True
                if await self._advance(held, kind, meter):
                    return
                is_fresh = False
            except Superseded:
                raise
            except _Cancelled:
                is_fresh = False
            except _DeadlinePassed:
                await self._fail(held, kind, "OPERATION_DEADLINE", "it has taken longer than it may")
                return
            except Exception as error:
                if not is_transient(error):
                    await self._give_up(held, kind, error)
                    return
                # Whether a COMMIT that was under way happened, only the row says.
                is_fresh = False
                await asyncio.sleep(RETRY_SECONDS)

    async def _reread(self, held: "Held") -> "Held":
        async with self._database.write() as connection:
            operation = await rows.reread(connection, held)
        if operation is None:
            raise Superseded
        return replace(held, operation=operation)

    # -- one step ---------------------------------------------------------------------------------------------

    async def _advance(self, held: "Held", kind: "AnyKind", meter: "Meter") -> bool:
        """Takes the next step; whether that was the end."""
        operation = held.operation
        work = await self._work_of(held, kind)
        forward = operation.state is OperationState.RUNNING
        if forward and await self._pace.give_way(lambda: self._show_yielding(held)):
            metrics.YIELDS.labels(kind.NAME).inc()
        async with self._pace.working():
            step = await (kind.next(work) if forward else kind.undo(work))
            if step is None:
                state = OperationState.DONE if forward else OperationState.CANCELLED
                await self._finish(held, kind, work, state)
                return True
            self._after_step(f"{step.name}.prepared")
            if step.outside is not None:
                async with self._database.write() as connection:
                    await self._grip(connection, held)
                    await rows.begin_outside(connection, held, step.name)
                self._after_step(f"{step.name}.begun")
                await step.outside()
                self._after_step(f"{step.name}.acted")
            await self._commit(held, kind, step, meter)
        self._after_step(f"{step.name}.committed")
        metrics.STEPS.labels(kind.NAME).inc()
        return False

    async def _commit(self, held: "Held", kind: "AnyKind", step: Step[Any], meter: "Meter") -> None:
        async with self._database.write() as connection:
            await self._grip(connection, held)
            self._after_step(f"{step.name}.gripped")
            memory = await step.apply(connection)
            progress = kind.progress(memory)
            await rows.record_step(
                connection,
                held,
                step=step.name,
                memory=to_stored(memory),
                done=progress.done,
                total=progress.total,
                rate=meter.rate(progress.done),
            )
            self._after_step(f"{step.name}.applied")

    async def _grip(self, connection: "Connection", held: "Held") -> None:
        """Locks the operation's row for this transaction, in which nobody else can claim it."""
        grip = await rows.renew(connection, held, self._settings.lease_seconds)
        if grip is None:
            raise Superseded
        if grip.state is not held.operation.state:
            raise _Cancelled
        if grip.late and grip.state is OperationState.RUNNING:
            raise _DeadlinePassed

    async def _work_of(self, held: "Held", kind: "AnyKind") -> Work[Any, Any]:
        operation = held.operation
        return Work(
            operation_id=operation.operation_id,
            tenant=await self._tenants.get(held.tenant),
            by=_by(held),
            input=from_stored(kind.INPUT, operation.input),
            memory=from_stored(kind.MEMORY, operation.memory),
        )

    async def _show_yielding(self, held: "Held") -> None:
        async with self._database.write() as connection:
            await rows.set_yielding(connection, held, True)

    # -- the end ----------------------------------------------------------------------------------------------

    async def _finish(
        self,
        held: "Held",
        kind: "AnyKind",
        work: Work[Any, Any],
        state: OperationState,
        reason: str = "",
        message: str = "",
    ) -> None:
        undone = kind.undone(work.memory) if state is OperationState.CANCELLED else ""
        ended = replace(held.operation, state=state, reason=reason, undone=undone)
        acts = [*kind.entries(work, state.value), finished_act(ended, work.by, work.tenant)]
        await self._ledger.ready(len(acts))
        self._after_step("end.prepared")
        async with self._database.write() as connection:
            grip = await rows.renew(connection, held, self._settings.lease_seconds)
            if grip is None:
                raise Superseded
            if grip.state is not held.operation.state:
                raise _Cancelled
            await rows.finish(connection, held, state, reason=reason, message=message, undone=undone)
            await self._ledger.append_all(connection, acts)
            self._after_step("end.applied")
        self._after_step("end.committed")
        metrics.ENDED.labels(kind.NAME, state.value).inc()
        _log.info("operation_ended", extra={**_named(held), "state": state.value, "reason": reason})

    async def _give_up(self, held: "Held", kind: "AnyKind", error: Exception) -> None:
        """Puts an operation back for a fault that passes, and ends it for any other."""
        told = error if isinstance(error, IntelGraphError) else wrap_unexpected(error)
        passing = isinstance(told, Unavailable) or told.retry_after is not None
        if not passing or held.operation.attempts >= MOST_ATTEMPTS:
            await self._fail(held, kind, told.reason, told.message)
            return
        _log.warning("operation_put_back", extra={**_named(held), "reason": told.reason})
        async with self._database.write() as connection:
            await rows.put_back(connection, held, PUT_BACK_SECONDS, told.reason, told.message)

    async def _fail(self, held: "Held", kind: "AnyKind", reason: str, message: str) -> None:
        try:
            held = await self._reread(held)
            work = await self._work_of(held, kind)
            await self._finish(held, kind, work, OperationState.FAILED, reason, message)
        except _Cancelled:
            await self._fail(held, kind, reason, message)


def _by(held: "Held") -> Actor:
    match held.created_method:
        case "jwt" | "mtls" | "cli" as method:
            return Actor(held.operation.created_by, method)
        case _:
            return Actor(held.operation.created_by, "gateway")


def _named(held: "Held") -> dict[str, str]:
    operation: Operation = held.operation
    return {
        "operation": str(operation.operation_id),
        "kind": operation.kind,
        "tenant": held.tenant,
        "step": operation.step,
    }
