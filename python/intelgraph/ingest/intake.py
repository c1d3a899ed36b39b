"""What the streams of a process share: one core engine, one committer per tenant, and the bounds between them.

Fairness comes from three places. Each tenant has one committer, so PostgreSQL's connections are taken in turn by
tenants and not by streams. Each tenant has a few batches in the worker threads at a time, so that threads are taken
in turn too. And what each may have in flight is bounded by its own limits, before the process's.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from intelgraph import errors
from intelgraph._core import Engine, Prepared, Stream
from intelgraph.contracts.registry import ContractRegistry, PublishedContract
from intelgraph.gateway.v1 import ingest_pb2
from intelgraph.ingest import metrics, positions
from intelgraph.ingest.committer import Served, TenantCommitter
from intelgraph.ingest.credit import ByteBudget
from intelgraph.ingest.fetch import HeadFetcher
from intelgraph.ingest.pace import Pace
from intelgraph.ingest.session import PrepareBatch, StreamBounds, StreamSession
from intelgraph.ingest.settings import IngestSettings
from intelgraph.keys.service import KeyService
from intelgraph.provenance.actor import Actor
from intelgraph.provenance.kinds.spine import StreamOpened
from intelgraph.provenance.ledger import Ledger
from intelgraph.storage import change_log
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import Tenant

_log = logging.getLogger(__name__)

_BATCHES_IN_THREADS: Final = 2
"""Batches of one tenant that are prepared at a time: the next one is ready when a thread is free."""
FOLLOW_SECONDS: Final = 0.5
"""How often heads are measured and the tenants of open streams looked at. The registry answers from memory, a second
old at most.
"""


@dataclass(slots=True)
class _TenantIntake:
    """One tenant's part of the process."""

    tenant: Tenant
    committer: TenantCommitter
    in_flight: ByteBudget
    pace: Pace
    threads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_BATCHES_IN_THREADS))
    sessions: set[StreamSession] = field(default_factory=set)
    learning: asyncio.Task[None] | None = None

    def apply_limits(self, tenant: Tenant) -> None:
        """Takes the tenant's limits as they are now, for the streams that are open too. Lowered, they end none."""
        self.in_flight.set_limit(tenant.limits.bytes_in_flight)
        self.pace.set_rate(tenant.limits.records_per_second)
        self.tenant = tenant

    def end(self, error: errors.IntelGraphError) -> None:
        """Ends all streams. What waits for its turn need not wait to be refused."""
        self.pace.set_rate(0)
        for session in self.sessions:
            session.end(error)


class Intake:
    """Takes records in, for all tenants of a process."""

    def __init__(
        self,
        engine: Engine,
        database: Database,
        keys: KeyService,
        contracts: ContractRegistry,
        settings: IngestSettings,
        served: Served,
        on_commit: Callable[[UUID, int], None],
        ledger: Ledger,
        contracts_warn: Callable[[UUID], bool] = lambda _: False,
    ) -> None:
        """`served` reads a tenant by its name, from memory as a rule. `on_commit` is told the tenant and its last
        change after each commit. `contracts_warn` says of a tenant, from memory, whether what breaks a contract is
        stored all the same.
        """
        self._engine = engine
        self._database = database
        self._keys = keys
        self._contracts = contracts
        self._settings = settings
        self._served = served
        self._contracts_warn = contracts_warn
        self._on_commit = on_commit
        self._ledger = ledger
        self._executor = ThreadPoolExecutor(
            max_workers=settings.threads or os.cpu_count() or 2, thread_name_prefix="core"
        )
        self._fetcher = HeadFetcher(engine, database, keys, self._executor)
        self._heads_meter = metrics.HeadsMeter(engine)
        self._process_budget = ByteBudget(settings.bytes_in_flight, metrics.BYTES_IN_FLIGHT.set)
        self._tenants: dict[UUID, _TenantIntake] = {}
        self._activating = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None
        self._draining = False

    async def open(
        self,
        tenant: Tenant,
        request: ingest_pb2.OpenStream,
        refresh: Callable[[str], Awaitable[float]],
        expires_at: float,
        by: Actor,
    ) -> tuple[StreamSession, ingest_pb2.StreamOpened]:
        """Opens a stream and fences its older connections. A producer that the stream did not have before is in the
        ledger.

        Raises:
            errors.InvalidArgument: `DATASET_MISSING`, `STREAM_ID_INVALID`.
            errors.NotFound: `CONTRACT_UNKNOWN`.
            errors.ResourceExhausted: `TOO_MANY_STREAMS`.
            errors.FailedPrecondition: `STREAM_DATASET`.
            errors.Unavailable: keys or database cannot be had now, `GATEWAY_DRAINING`.
        """
        _check_open(request)
        contract = await self._contracts.get(tenant, request.dataset, request.contract_version)
        await self._keys.authorise(tenant)
        intake = await self._intake(tenant)
        if len(intake.sessions) >= tenant.limits.streams:
            raise _too_many_streams(tenant.limits.streams)
        position = await self._position(tenant, request, contract, by)
        compiled = contract.compiled()
        stream = Stream(
            tenant.tenant_id.bytes,
            stream_no=position.stream_no,
            dataset_id=contract.dataset_id,
            contract_id=contract.contract_id,
            contract=compiled,
        )
        bounds = self._bounds(tenant)
        session = StreamSession(
            stream=stream,
            position=position,
            bounds=bounds,
            committer=intake.committer,
            prepare=self._preparer(intake),
            budgets=(ByteBudget(bounds.credit_bytes), intake.in_flight, self._process_budget),
            refresh=refresh,
            expires_at=expires_at,
        )
        if self._draining:
            raise _draining()
        intake.sessions.add(session)
        metrics.OPEN_STREAMS.inc()
        return session, _opened(position.sequence, bounds, contract.digest, contract.version)

    async def _position(
        self, tenant: Tenant, request: ingest_pb2.OpenStream, contract: PublishedContract, by: Actor
    ) -> positions.Position:
        await self._ledger.ready()
        async with self._database.write() as connection:
            position, producer_before = await positions.open_stream(
                connection,
                tenant.tenant_id,
                request.stream_id,
                contract.dataset_id,
                request.producer,
                request.source_region,
            )
            if producer_before != request.producer:
                facts = StreamOpened(
                    request.stream_id,
                    contract.dataset,
                    request.producer,
                    producer_before,
                    request.source_region,
                )
                await self._ledger.append(
                    connection, facts, subject=f"stream:{request.stream_id}", by=by, tenant=tenant
                )
        return position

    def closed(self, tenant: Tenant, session: StreamSession) -> None:
        """The session's connection is gone. What it submitted is still committed."""
        intake = self._tenants.get(tenant.tenant_id)
        if intake is not None and session in intake.sessions:
            intake.sessions.remove(session)
            metrics.OPEN_STREAMS.dec()

    async def drain(self) -> None:
        """Tells all streams to end, and returns when what they submitted is committed and answered."""
        self._draining = True
        self._stop_following()
        for intake in self._tenants.values():
            for session in intake.sessions:
                session.end(_draining())
        await asyncio.gather(*(intake.committer.close() for intake in self._tenants.values()))
        self._heads_meter.measure()

    async def close(self) -> None:
        """Ends the threads. Call it after `drain`, or to give up what is in flight."""
        self._stop_following()
        for intake in self._tenants.values():
            intake.committer.cancel()
            if intake.learning is not None:
                intake.learning.cancel()
        self._executor.shutdown(wait=False, cancel_futures=True)

    # -- tenants ----------------------------------------------------------------------------------------------

    async def _intake(self, tenant: Tenant) -> _TenantIntake:
        async with self._activating:
            intake = self._tenants.get(tenant.tenant_id)
            if intake is None:
                intake = await self._activate(tenant)
                self._tenants[tenant.tenant_id] = intake
        self._apply_limits(intake, tenant)
        if self._following is None and not self._draining:
            self._following = asyncio.create_task(self._follow(), name="follow tenants")
        return intake

    def _apply_limits(self, intake: _TenantIntake, tenant: Tenant) -> None:
        share = tenant.limits.cache_share_percent
        if share != intake.tenant.limits.cache_share_percent:
            self._engine.set_cache_share(tenant.tenant_id.bytes, share)
        intake.apply_limits(tenant)

    async def _follow(self) -> None:
        """Has open streams live by what becomes of their tenants: limits change, and a tenant is suspended."""
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            self._heads_meter.measure()
            for intake in [each for each in self._tenants.values() if each.sessions]:
                try:
                    tenant = await self._served(intake.tenant.name)
                    if tenant != intake.tenant:
                        self._apply_limits(intake, tenant)
                except errors.PermissionDenied as error:
                    intake.end(error)
                except errors.Unavailable:
                    pass  # nor can anything be committed; the registry logs it
                except Exception:
                    _log.exception("following a tenant failed")

    async def _activate(self, tenant: Tenant) -> _TenantIntake:
        async with self._database.read(tenant.tenant_id) as connection:
            point = await change_log.cache_point(connection, tenant.tenant_id)
        self._engine.activate(tenant.tenant_id.bytes, point.seq, tenant.limits.cache_share_percent)
        committer = TenantCommitter(
            tenant,
            self._engine,
            self._database,
            self._keys,
            self._fetcher,
            self._executor,
            self._served,
            self._on_commit,
            point.retained,
        )
        limits = tenant.limits
        intake = _TenantIntake(
            tenant, committer, ByteBudget(limits.bytes_in_flight), Pace(limits.records_per_second)
        )
        if point.seq:
            intake.learning = asyncio.create_task(self._learn(tenant), name=f"learn {tenant.name}")
        return intake

    async def _learn(self, tenant: Tenant) -> None:
        """Reads which entities the tenant's log has, so that new ones cost no query any more."""
        tenant_id = tenant.tenant_id
        while (after := self._engine.learn_from(tenant_id.bytes)) is not None:
            try:
                async with self._database.read(tenant_id) as connection:
                    page = await change_log.entities_after(
                        connection, tenant_id, after, change_log.ENTITIES_PAGE
                    )
            except errors.IntelGraphError as error:
                _log.warning("learning_paused", extra={"tenant": tenant.name, "reason": error.reason})
                await asyncio.sleep(1.0)
                continue
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(
                self._executor, self._engine.learn, tenant_id.bytes, page.keys, page.seq
            )

    def _stop_following(self) -> None:
        if self._following is not None:
            self._following.cancel()

    # -- batches ----------------------------------------------------------------------------------------------

    def _preparer(self, intake: _TenantIntake) -> PrepareBatch:
        async def prepare(stream: Stream, frame: bytes) -> Prepared:
            async with intake.threads:
                loop = asyncio.get_running_loop()
                now_us = time.time_ns() // 1000
                await self._keys.authorise(intake.tenant)
                # Read once for a batch: the core goes by it however long the batch then takes.
                warn = self._contracts_warn(intake.tenant.tenant_id)
                batch = await loop.run_in_executor(
                    self._executor, self._engine.prepare, stream, frame, now_us, warn
                )
                await self._fetcher.supply(intake.tenant, batch)
            await intake.pace.take(batch.records)
            return batch

        return prepare

    def _bounds(self, tenant: Tenant) -> StreamBounds:
        settings = self._settings
        return StreamBounds(
            credit_bytes=min(settings.stream_credit_bytes, tenant.limits.bytes_in_flight),
            max_batch_bytes=settings.max_batch_bytes,
            max_batch_records=settings.max_batch_records,
            max_record_bytes=settings.max_record_bytes,
            max_depth=settings.max_depth,
        )


def _check_open(request: ingest_pb2.OpenStream) -> None:
    if not request.dataset:
        raise errors.InvalidArgument(
            "DATASET_MISSING", "OpenStream names no dataset", fix="set OpenStream.dataset"
        )
    stream_id = request.stream_id
    if not 0 < len(stream_id) <= 256 or not stream_id.isprintable():
        raise errors.InvalidArgument(
            "STREAM_ID_INVALID",
            "the stream id must be 1 to 256 printable characters",
            fix="set OpenStream.stream_id to a name that is the same after every reconnect",
        )


def _too_many_streams(limit: int) -> errors.IntelGraphError:
    return errors.ResourceExhausted(
        "TOO_MANY_STREAMS",
        f"the tenant has its {limit} streams open already",
        fix="close a stream, or have the operator raise the limit: intelgraph tenants limits",
        retry_after=1.0,
    )


def _opened(
    sequence: int, bounds: StreamBounds, contract_digest: bytes, contract_version: str
) -> ingest_pb2.StreamOpened:
    return ingest_pb2.StreamOpened(
        last_committed_sequence=sequence,
        credit_bytes=bounds.credit_bytes,
        limits=ingest_pb2.StreamLimits(
            max_batch_bytes=bounds.max_batch_bytes,
            max_batch_records=bounds.max_batch_records,
            max_record_bytes=bounds.max_record_bytes,
            max_depth=bounds.max_depth,
        ),
        contract_digest=contract_digest,
        contract_version=contract_version,
    )


def _draining() -> errors.IntelGraphError:
    return errors.Unavailable(
        "GATEWAY_DRAINING",
        "the gateway is going down",
        fix="open the stream again: a gateway goes on after the last committed sequence",
        retry_after=0.1,
    )
