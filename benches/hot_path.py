"""The work of the core on each record, without network and PostgreSQL, on one thread."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import orjson

from benches.harness.sample import Sample
from benches.ingest_load import BATCHES_PER_VERSION, RECORDS_PER_BATCH, VERSIONS
from benches.records import contract_document
from benches.tenant_keys import SealingTenant
from benches.wire import batch_frame
from intelgraph._core import Contract, Engine, Group, Keystore, Stream
from intelgraph.ingest.settings import IngestSettings

_MIN_BATCHES: Final = BATCHES_PER_VERSION * VERSIONS


class HotPath:
    """Takes batches from the bytes of the wire to the buffers of COPY and the replies, every head in memory.

    What is timed is all that a batch makes the gateway's threads do in the core: prepare, diff, bind, taking the
    buffers out, commit. It is the CPU time of this thread, so that other work on the machine does not count.
    """

    name = "hot_path"

    def __init__(self, bodies_of_tenants: Sequence[Sequence[bytes]], batches: int) -> None:
        """`bodies_of_tenants` holds each tenant's batches, every entity in each of its versions; a measurement takes
        `batches` of them, tenant by tenant in turn."""
        keystore = Keystore()
        limits = IngestSettings()
        engine = Engine(
            keystore,
            cache_bytes=limits.heads_cache_bytes,
            max_record_bytes=limits.max_record_bytes,
            max_depth=limits.max_depth,
            max_batch_records=limits.max_batch_records,
        )
        self._lanes = [_Lane(engine, SealingTenant(keystore), bodies) for bodies in bodies_of_tenants]
        self._batches = batches
        for lane in self._lanes:
            for _ in range(_MIN_BATCHES):
                lane.take_batch()

    def measure(self) -> Sample:
        """Takes the batches and adds up the thread's CPU time."""
        started, cpu_s = time.perf_counter(), 0.0
        for number in range(self._batches):
            cpu_s += self._lanes[number % len(self._lanes)].take_batch()
        return Sample(self._batches * RECORDS_PER_BATCH, time.perf_counter() - started, cpu_s)


class _Lane:
    """One tenant's stream and its clock row."""

    def __init__(self, engine: Engine, tenant: SealingTenant, bodies: Sequence[bytes]) -> None:
        contract = Contract.compile(orjson.dumps(contract_document("bench")))
        self._engine = engine
        self._tenant = tenant
        self._bodies = bodies
        self._stream = Stream(tenant.tenant_id, stream_no=1, dataset_id=1, contract_id=1, contract=contract)
        self._sequence = self._seq = self._recorded_us = 0
        self._frontier = b""
        engine.activate(tenant.tenant_id, 0, 100)

    def take_batch(self) -> float:
        """Takes the next batch; returns the thread's CPU time in seconds.

        Raises:
            RuntimeError: if not every record became a change.
        """
        body = self._bodies[self._sequence % len(self._bodies)]
        self._sequence += 1
        frame = batch_frame(self._sequence, body)
        now_us = time.time_ns() // 1000
        self._tenant.make_ready(RECORDS_PER_BATCH)
        started = time.thread_time()
        seq = self._ingest(frame, now_us)
        spent = time.thread_time() - started
        if seq != self._seq + RECORDS_PER_BATCH:
            raise RuntimeError(f"{seq - self._seq} changes of {RECORDS_PER_BATCH} records")
        self._seq = seq
        return spent

    def _ingest(self, frame: bytes, now_us: int) -> int:
        engine = self._engine
        batch = engine.prepare(self._stream, frame, now_us)
        if engine.plan_fetch(batch) is not None:
            raise RuntimeError("a head is not in memory")
        group = engine.diff(self._tenant.tenant_id, [batch])
        assert isinstance(group, Group)
        bound = group.bind(self._seq, self._recorded_us, now_us, self._frontier, b"")
        assert bound.tables
        assert bound.replies
        self._recorded_us, self._frontier = bound.recorded_us, bound.frontier
        engine.commit(group, bound)
        return bound.seq
