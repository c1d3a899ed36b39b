"""Memory: the gateway's resident size while far more entities pass through than its cache of heads holds."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, overload

import uvloop

from benches.channels import close, open_channels
from benches.client import Feed, drive, for_batches
from benches.gateway_process import Gateway, serve_gateway
from benches.harness.environment import observe
from benches.harness.estimate import bootstrap_median
from benches.harness.interleave import Series
from benches.harness.process_tree import tree_cpu_s, tree_resident_bytes
from benches.harness.report import BUILD_DIRECTORY, Figure, Report, Target
from benches.harness.sample import Sample
from benches.records import DATASET, Shipment
from benches.wire import batch_body

_DISTRIBUTIONS: Final = ("asyncpg", "grpcio", "intelgraph-gateway", "matplotlib", "uvloop")
_TENANT: Final = "bench-memory"
_BATCH: Final = 512
_STRIDE: Final = 7_368_787
"""A prime, so that each version of all entities passes in one order without a pattern that a cache could use."""
_HEAD_BYTES: Final = 1_000
"""What a head takes at least."""


@dataclass(frozen=True, slots=True)
class _Extent:
    entities: int
    versions: int
    cache_bytes: int
    samples: int


_QUICK: Final = _Extent(entities=40_960, versions=4, cache_bytes=16 << 20, samples=32)
_FULL: Final = _Extent(entities=1_000_448, versions=5, cache_bytes=256 << 20, samples=200)


def run(*, quick: bool) -> Report:
    """Sends 164 thousand records over 41 thousand entities if `quick`, else 5 million over 1 million; draws
    `build/bench/memory.png`."""
    extent = _QUICK if quick else _FULL
    environment = observe(_DISTRIBUTIONS)
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        settings = {"INGEST__HEADS_CACHE_BYTES": str(extent.cache_bytes)}
        gateway = stack.enter_context(serve_gateway(settings=settings))
        samples = runner.run(_fill(gateway, extent))
    _plot(samples, BUILD_DIRECTORY)
    full_from = _first_full(samples, extent)
    settled = [sample.resident_bytes for sample in samples[full_from:]]
    quarter = len(settled) // 4
    growth = bootstrap_median(
        [late / early for early, late in zip(settled[:quarter], settled[-quarter:], strict=True)]
    )
    figures = (
        Figure("growth_after_cache_is_full", growth, Target(1.05, at_most=True)),
        Figure("resident_mib", bootstrap_median([size / 2**20 for size in settled])),
    )
    title = (
        f"Resident size over {extent.entities * extent.versions:,} records of {extent.entities:,} entities"
    )
    return Report("memory", title, environment, (Series("gateway", tuple(samples)),), figures)


class _Bodies(Sequence[bytes]):
    """All batches of the run, each made when it is sent: every entity once in each version."""

    def __init__(self, extent: _Extent) -> None:
        self._extent = extent

    def __len__(self) -> int:
        return self._extent.entities * self._extent.versions // _BATCH

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        entities = self._extent.entities
        places = range(index * _BATCH, (index + 1) * _BATCH)
        return batch_body(
            [
                Shipment(0, place % entities * _STRIDE % entities, place // entities).encode()
                for place in places
            ]
        )


async def _fill(gateway: Gateway, extent: _Extent) -> list[Sample]:
    """Sends everything, and meters the gateway between equal parts."""
    await gateway.admit([_TENANT])
    bodies = _Bodies(extent)
    feed = Feed(DATASET, "memory", gateway.metadata_of(_TENANT), bodies, _BATCH)
    channels = await open_channels(gateway.target, gateway.pid, workers=1)
    postgres = gateway.postgres.pid
    samples = []
    for _ in range(extent.samples):
        server_before, postgres_before = tree_cpu_s(gateway.pid, without=postgres), tree_cpu_s(postgres)
        driven = await drive(channels, [feed], in_flight=2, more=for_batches(len(bodies) // extent.samples))
        samples.append(
            Sample(
                records=driven.records,
                wall_s=driven.wall_s,
                cpu_s=tree_cpu_s(gateway.pid, without=postgres) - server_before,
                storage_cpu_s=tree_cpu_s(postgres) - postgres_before,
                ack_ms=driven.ack_ms,
                resident_bytes=tree_resident_bytes(gateway.pid, without=postgres),
            )
        )
    await close(channels)
    return samples


def _first_full(samples: Sequence[Sample], extent: _Extent) -> int:
    """The first sample by which more heads have passed than the cache can hold; but leaves out at least the first
    version, in which the log of known entities still grows."""
    passed = 0
    for position, sample in enumerate(samples):
        passed += sample.records
        if passed >= max(extent.entities, extent.cache_bytes // _HEAD_BYTES):
            return position
    raise RuntimeError("the cache of heads was never full")


def _plot(samples: Sequence[Sample], directory: Path) -> None:
    """Draws resident size over records."""
    from matplotlib.figure import Figure as Drawing  # noqa: PLC0415 (heavy, and no other benchmark draws)

    passed, records = 0, []
    for sample in samples:
        passed += sample.records
        records.append(passed)
    drawing = Drawing(figsize=(8, 4), layout="constrained")
    axes = drawing.subplots()
    axes.plot(records, [sample.resident_bytes / 2**20 for sample in samples])
    axes.set(xlabel="records", ylabel="resident size of the gateway, MiB", ylim=(0, None))
    axes.grid(visible=True, alpha=0.3)
    directory.mkdir(parents=True, exist_ok=True)
    drawing.savefig(directory / "memory.png", dpi=120)
