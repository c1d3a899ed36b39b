"""One tenant's commits: serial, in order, with the next group diffed while the last one commits.

A group is what waits when the committer is free: batches of all of the tenant's streams, in the order in which they
were submitted. It is diffed on the heads that the groups before it leave, written with one COPY under the tenant's
clock row, and answered once committed. When a commit fails, everything that was diffed on it is dropped and diffed
again, so that a history never forks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import tenacity

from intelgraph import errors
from intelgraph._core import Bound, Engine, Group
from intelgraph.ingest import metrics, positions
from intelgraph.ingest.fetch import HeadFetcher
from intelgraph.ingest.lane import Submission, hand_back, in_turn
from intelgraph.ingest.positions import Position
from intelgraph.ingest.quarantine_limit import beyond_limit, quarantine_full
from intelgraph.ingest.refusals import refusal
from intelgraph.keys.service import KeyService
from intelgraph.storage import change_log
from intelgraph.storage.connection import Connection
from intelgraph.storage.copying import copy_rows
from intelgraph.storage.database import Database
from intelgraph.storage.faults import is_transient
from intelgraph.tenants.registry import Tenant

MAX_GROUP_BYTES = 4 << 20
"""A group stops growing here: beyond it, one more batch saves no round trip that is worth its latency."""
MAX_GROUP_BATCHES = 64
RETRY_SECONDS = 15.0
"""How long a commit is tried again while PostgreSQL restarts, before its batches are handed back to be retried."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _InFlight:
    """A group from its diff to its reply."""

    submissions: list[Submission]
    diffed: Group | None
    bound: Bound | None = None
    """What the last transaction wrote. After a connection is lost, only the database knows whether it committed."""

    @property
    def targets(self) -> list[Position]:
        """Where each connection's stream moves to: its last batch. Two connections of one stream are told apart,
        or the older would commit under the newer's epoch.
        """
        return list(
            {_connection(submission.target): submission.target for submission in self.submissions}.values()
        )


Served = Callable[[str], Awaitable[Tenant]]
"""The tenant of that name, with the limits that hold now. Raises PermissionDenied if it is not served any more."""


class _LeftOut(Exception):
    """Some of a group's batches cannot be committed, for `error`. Without them the others may."""

    def __init__(self, submissions: list[Submission], error: errors.IntelGraphError) -> None:
        self.submissions = submissions
        self.error = error


class TenantCommitter:
    """Commits one tenant's batches."""

    def __init__(
        self,
        tenant: Tenant,
        engine: Engine,
        database: Database,
        keys: KeyService,
        fetcher: HeadFetcher,
        executor: Executor,
        served: Served,
        on_commit: Callable[[UUID, int], None],
        retained: int,
    ) -> None:
        """`retained` is the last batch of retention that the engine's heads reflect."""
        self._tenant = tenant
        self._engine = engine
        self._database = database
        self._keys = keys
        self._fetcher = fetcher
        self._executor = executor
        self._served = served
        self._on_commit = on_commit
        self._retained = retained
        self._waiting: asyncio.Queue[Submission] = asyncio.Queue()
        self._shared = False
        """Whether another gateway committed for this tenant between our last two commits."""
        self._diffing = asyncio.Lock()
        self._committing: asyncio.Task[None] | None = None
        self._task = asyncio.create_task(self._run(), name=f"committer {tenant.name}")

    def submit(self, submission: Submission) -> None:
        """Queues a batch. Its stream's credit bounds the queue."""
        self._waiting.put_nowait(submission)

    async def close(self) -> None:
        """Returns when everything that was submitted is committed or handed back."""
        await self._waiting.join()

    def cancel(self) -> None:
        """Ends at once; what was submitted and is not committed stays unanswered."""
        self._task.cancel()
        if self._committing is not None:
            self._committing.cancel()

    # -- the pipeline: diff group n+1 while n commits ---------------------------------------------------------

    async def _run(self) -> None:
        while True:
            group = await self._next_group()
            flight = await self._diff_ahead(group)
            if self._committing is not None:
                await self._committing
            self._committing = asyncio.create_task(
                self._finish(flight, await self._refresh(flight), len(group))
            )

    async def _next_group(self) -> list[Submission]:
        group = [await self._waiting.get()]
        size = group[0].size
        while not self._waiting.empty() and size < MAX_GROUP_BYTES and len(group) < MAX_GROUP_BATCHES:
            group.append(self._waiting.get_nowait())
            size += group[-1].size
        return group

    async def _diff_ahead(self, group: list[Submission]) -> _InFlight:
        flight = _InFlight(in_turn(group), None)
        with contextlib.suppress(Exception):
            # A failure here may be due to the group before this one: it is tried again when that is done.
            flight.diffed = await self._diff(flight.submissions)
        return flight

    async def _refresh(self, flight: _InFlight) -> Exception | None:
        """Once the group before is done: diffs again what leaned on a commit that failed, or failed itself."""
        before = len(flight.submissions)
        flight.submissions = in_turn(flight.submissions)
        try:
            if (
                flight.diffed is None
                or len(flight.submissions) != before
                or self._engine.is_stale(flight.diffed)
            ):
                flight.diffed = await self._diff_anew(flight.submissions)
        except Exception as error:
            return error
        return None

    async def _finish(self, flight: _InFlight, failure: Exception | None, taken: int) -> None:
        """Commits a group and answers its batches, whatever happens."""
        try:
            if failure is not None:
                raise failure
            await self._commit_until_done(flight)
        except Exception as error:
            self._engine.abort(self._tenant.tenant_id.bytes)
            # Once bound, the group may be committed though its COMMIT was not answered: only the stream's position,
            # read when the stream is opened again, says whether to send its batches again.
            hand_back(flight.submissions, refusal(error) if flight.bound is None else _outcome_unknown())
        finally:
            for _ in range(taken):
                self._waiting.task_done()

    # -- diff -------------------------------------------------------------------------------------------------

    async def _diff_anew(self, group: Sequence[Submission]) -> Group:
        """Diffs a group on what is committed, dropping all that was diffed and is not."""
        async with self._diffing:
            self._engine.abort(self._tenant.tenant_id.bytes)
            return await self._diff_locked(group)

    async def _diff(self, group: Sequence[Submission]) -> Group:
        """Diffs a group on the heads as they will be once all groups before it are committed."""
        async with self._diffing:
            return await self._diff_locked(group)

    async def _diff_locked(self, group: Sequence[Submission]) -> Group:
        tenant, loop = self._tenant, asyncio.get_running_loop()
        batches = [submission.batch for submission in group if submission.batch is not None]
        records = sum(batch.records for batch in batches)
        while True:
            await self._keys.ensure_seal_slot(tenant, records)
            diffed = await loop.run_in_executor(
                self._executor, self._engine.diff, tenant.tenant_id.bytes, batches
            )
            if isinstance(diffed, Group):
                return diffed
            for index in diffed:
                await self._fetcher.supply(tenant, batches[index])

    # -- commit -----------------------------------------------------------------------------------------------

    async def _commit_until_done(self, flight: _InFlight) -> None:
        """Commits a group; a lost connection is tried again."""
        try:
            # Outside the loop, whose own work for an attempt is a tenth of a commit's.
            await self._commit_what_can_be(flight)
        except Exception as error:
            if not is_transient(error):
                raise
            await self._commit_again(flight)

    async def _commit_again(self, flight: _InFlight) -> None:
        async for attempt in tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(is_transient),
            wait=tenacity.wait_random_exponential(multiplier=0.05, max=1.0),
            stop=tenacity.stop_after_delay(RETRY_SECONDS),
            reraise=True,
        ):
            metrics.COMMITS_RETRIED.inc()
            with attempt:
                await self._commit_what_can_be(flight)

    async def _commit_what_can_be(self, flight: _InFlight) -> None:
        """Commits a group; what of it cannot be committed is left out."""
        while flight.submissions:
            try:
                await self._commit_once(flight)
            except _LeftOut as left_out:
                hand_back(left_out.submissions, left_out.error)
                flight.submissions = in_turn(flight.submissions)
                flight.diffed = await self._diff_anew(flight.submissions)
            else:
                return

    async def _commit_once(self, flight: _InFlight) -> None:
        tenant_id = self._tenant.tenant_id
        if self._shared:
            async with self._database.read(tenant_id) as connection:
                await self._catch_up(connection)
        limit = (await self._served(self._tenant.name)).limits.quarantine_records
        begun = time.perf_counter()
        async with self._database.write() as connection:
            clock = await change_log.lock_clock(connection, tenant_id)
            if flight.bound is not None and await self._is_committed(connection, flight):
                # The connection broke between COMMIT and its answer. What was bound is what is stored.
                _log.info("commit_confirmed", extra={"tenant": self._tenant.name})
                metrics.COMMITS_CONFIRMED.inc()
            else:
                await self._write(connection, clock, flight, limit)
        metrics.observe_commit(time.perf_counter() - begun)
        self._settle(flight)

    async def _write(
        self, connection: Connection, clock: change_log.Clock, flight: _InFlight, quarantine_limit: int
    ) -> None:
        tenant_id = self._tenant.tenant_id
        flight.bound = None
        diffed = await self._up_to_date(connection, clock, flight)
        known = b""
        if diffed.fingerprints:
            known = await change_log.known_fingerprints(connection, tenant_id, diffed.fingerprints)
        bound = diffed.bind(clock.seq, clock.recorded_us, clock.now_us, clock.frontier, known)
        beyond = beyond_limit(flight.submissions, bound.quarantining, quarantine_limit - clock.quarantined)
        if beyond:
            raise _LeftOut(beyond, quarantine_full(clock.quarantined, quarantine_limit))
        for table, columns, chunks in bound.tables:
            await copy_rows(connection, table, columns, chunks)
        targets = flight.targets
        quarantined = clock.quarantined + sum(bound.quarantining)
        after = positions.Clock(bound.seq, _timestamp(bound.recorded_us), bound.frontier, quarantined)
        moved = await positions.advance(connection, tenant_id, after, targets)
        lost = frozenset(map(_connection, targets)) - moved
        if lost:
            fenced = [item for item in flight.submissions if _connection(item.target) in lost]
            raise _LeftOut(fenced, _fenced())
        flight.bound = bound

    async def _up_to_date(self, connection: Connection, clock: change_log.Clock, flight: _InFlight) -> Group:
        """The group's diff; made again, under the clock row, if another gateway moved an entity it leans on, or
        retention took versions of one.
        """
        tenant_id = self._tenant.tenant_id
        watermark = self._engine.watermark(tenant_id.bytes)
        self._shared = clock.seq != watermark
        if self._shared:
            await self._catch_up(connection)
        if clock.retained != self._retained:
            await self._forget_retained(connection, clock.retained)
        if flight.diffed is None or self._engine.is_stale(flight.diffed):
            flight.diffed = await self._diff_anew(flight.submissions)
        return flight.diffed

    async def _is_committed(self, connection: Connection, flight: _InFlight) -> bool:
        targets = flight.targets
        now = await positions.current(
            connection, self._tenant.tenant_id, [target.stream_no for target in targets]
        )
        # One transaction moved them all or none, and nobody else holds these epochs.
        return any(now.get(target.stream_no) == target for target in targets)

    def _settle(self, flight: _InFlight) -> None:
        """The group is durable: its heads become the committed ones, its batches are answered."""
        bound = flight.bound
        if bound is None or flight.diffed is None:
            raise errors.Internal("INTERNAL", "a group was settled before it was bound")
        self._engine.commit(flight.diffed, bound)
        metrics.count_group(bound, sum(submission.batch is None for submission in flight.submissions))
        replies = iter(bound.replies)
        for submission in flight.submissions:
            reply = submission.rejection if submission.batch is None else next(replies)
            if not submission.reply.done():
                submission.reply.set_result(reply)
        self._on_commit(self._tenant.tenant_id, bound.seq)

    # -- other gateways on the same tenant --------------------------------------------------------------------

    async def _catch_up(self, connection: Connection) -> None:
        """Forgets the heads that others moved; page by page, for a gateway that was idle may be far behind."""
        tenant_id = self._tenant.tenant_id
        keys = None
        while keys is None or len(keys) == change_log.ENTITIES_PAGE * change_log.ENTITY_BYTES:
            after = self._engine.watermark(tenant_id.bytes)
            page = await change_log.entities_after(connection, tenant_id, after, change_log.ENTITIES_PAGE)
            keys = page.keys
            self._engine.catch_up(tenant_id.bytes, keys, page.seq)

    # -- retention --------------------------------------------------------------------------------------------

    async def _forget_retained(self, connection: Connection, retained: int) -> None:
        """Forgets the heads of entities of which retention took versions, whichever gateway ran it."""
        tenant_id = self._tenant.tenant_id
        entities = await change_log.retained_after(connection, tenant_id, self._retained, retained)
        if entities is None:
            self._engine.all_retained(tenant_id.bytes)
        else:
            self._engine.retained(tenant_id.bytes, entities)
        self._retained = retained


def _timestamp(unix_us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=unix_us)


def _connection(target: Position) -> tuple[int, int]:
    return target.stream_no, target.epoch


def _fenced() -> errors.IntelGraphError:
    return errors.Aborted(
        "STREAM_FENCED",
        "another connection opened this stream",
        fix="use one connection per stream id, and let the newer one go on",
    )


def _outcome_unknown() -> errors.IntelGraphError:
    """Ends the stream: it asks for no retry on this connection."""
    return errors.Unavailable(
        "STORAGE_UNAVAILABLE",
        "PostgreSQL went away during a commit, and whether it happened is not known",
        fix="open the stream again: it goes on after the last committed sequence",
    )
