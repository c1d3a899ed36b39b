"""What a ledger entry in a batch's transaction costs ingest: arms alternate batch by batch within each stream."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final

import uvloop

from benches.channels import close, open_channels
from benches.client import Driven, Feed, drive, for_batches
from benches.gateway_process import serve_gateway
from benches.harness.estimate import Estimate
from benches.harness.interleave import Series
from benches.harness.report import Figure, Target
from benches.harness.sample import Sample
from benches.ingest_load import RECORDS_PER_BATCH, TENANTS, Load
from benches.ledgered_gateway import EVERY

_RESAMPLES: Final = 2_000
_SEED: Final = 20_261_127

Triplet = tuple[float, float, float]
"""Milliseconds to the acknowledgement of a batch without, of another without, and of one with an entry."""


def ingest_beside_ledger(*, quick: bool) -> tuple[list[Series], list[Figure]]:
    """Sends batches on 4 streams, one at a time each, of which every third writes an entry."""
    batches = EVERY * (150 if quick else 2_000)
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        gateway = stack.enter_context(serve_gateway(module="benches.ledgered_gateway"))
        runner.run(gateway.admit(TENANTS))
        feeds = Load.prepare().feeds(gateway.metadata_of)
        # The first round inserts every entity; from then on there is something to compare with.
        runner.run(_drive(gateway.target, gateway.pid, feeds, EVERY * 4))
        driven = runner.run(_drive(gateway.target, gateway.pid, feeds, batches))
    triplets = [triplet for each in driven for triplet in _triplets(each.ack_ms)]
    bound = 0.95 if quick else 0.98
    figures = [
        Figure("ingest_with_ledger_vs_without", _ratio(triplets, _with_entry), Target(bound)),
        Figure("ingest_without_vs_without", _ratio(triplets, _without)),
    ]
    return [
        _series(name, triplets, arm) for arm, name in enumerate(("without", "without_again", "with"))
    ], figures


async def _drive(target: str, pid: int, feeds: Sequence[Feed], batches: int) -> Sequence[Driven]:
    channels = await open_channels(target, pid, workers=1)
    driven = await asyncio.gather(*(drive(channels, [feed], 1, for_batches(batches)) for feed in feeds))
    await close(channels)
    return driven


def _triplets(ack_ms: Sequence[float]) -> list[Triplet]:
    """A stream's batches by threes: it begins behind a multiple of three, so that the third one writes an entry."""
    return [(ack_ms[at], ack_ms[at + 1], ack_ms[at + 2]) for at in range(0, len(ack_ms) - 2, EVERY)]


def _with_entry(triplets: Sequence[Triplet]) -> float:
    return sum(first + second for first, second, _ in triplets) / 2 / sum(third for _, _, third in triplets)


def _without(triplets: Sequence[Triplet]) -> float:
    return sum(first for first, _, _ in triplets) / sum(second for _, second, _ in triplets)


def _ratio(triplets: Sequence[Triplet], ratio: Callable[[Sequence[Triplet]], float]) -> Estimate:
    """A ratio of throughputs of one batch at a time, with a bootstrap interval over the triplets."""
    generator = random.Random(_SEED)
    drawn = sorted(ratio(generator.choices(triplets, k=len(triplets))) for _ in range(_RESAMPLES))
    tail = _RESAMPLES * 25 // 1000
    return Estimate(ratio(triplets), drawn[tail], drawn[-1 - tail])


def _series(name: str, triplets: Sequence[Triplet], arm: int) -> Series:
    ack_ms = tuple(triplet[arm] for triplet in triplets)
    wall_s = sum(ack_ms) / 1e3
    return Series(f"ingest_{name}", (Sample(len(ack_ms) * RECORDS_PER_BATCH, wall_s, 0.0, ack_ms=ack_ms),))
