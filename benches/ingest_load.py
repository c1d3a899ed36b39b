"""The load of the ingest benchmark: 4 streams of 4 tenants, batches of 512 records of 1 KiB, 3 of 20 fields
changed."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import grpc.aio

from benches.client import Driven, Feed, KeepSending, Metadata, drive, for_seconds
from benches.harness.cpu_time import tree_cpu_s
from benches.harness.sample import Sample
from benches.records import DATASET, Shipment
from benches.wire import CHANNEL_OPTIONS, batch_body

TENANTS: Final = ("bench-0", "bench-1", "bench-2", "bench-3")
RECORDS_PER_BATCH: Final = 512
BATCHES_PER_VERSION: Final = 4
"""So 2,048 entities a tenant, each met again after 4 batches."""
VERSIONS: Final = 4
"""Versions made beforehand. After the last comes the first again, which differs from it in the same 3
fields; so the contract of this load names no event time."""
IN_FLIGHT: Final = 2
"""Unanswered batches on a stream: one at work and one waiting."""


def bodies_of(tenant_number: int) -> tuple[bytes, ...]:
    """A tenant's batches: all entities in their first version, then all in the second, and so on."""
    entities = [
        Shipment(seed=tenant_number, index=index) for index in range(BATCHES_PER_VERSION * RECORDS_PER_BATCH)
    ]
    bodies: list[bytes] = []
    for _ in range(VERSIONS):
        encoded = [entity.encode() for entity in entities]
        bodies += [batch_body(batch) for batch in _slices(encoded)]
        entities = [entity.next() for entity in entities]
    return tuple(bodies)


def _slices(documents: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    return (
        documents[start : start + RECORDS_PER_BATCH] for start in range(0, len(documents), RECORDS_PER_BATCH)
    )


@dataclass(frozen=True, slots=True)
class Load:
    """The batches of all tenants, made once and sent to every arm."""

    bodies: dict[str, tuple[bytes, ...]]

    @classmethod
    def prepare(cls) -> Self:
        """Makes all batches; takes a few seconds."""
        return cls({tenant: bodies_of(number) for number, tenant in enumerate(TENANTS)})

    def feeds(self, metadata_of: Callable[[str], Metadata]) -> tuple[Feed, ...]:
        """One feed per tenant; `metadata_of` says how a tenant's name is presented to the server."""
        return tuple(
            Feed(DATASET, f"{tenant}-stream", metadata_of(tenant), bodies, RECORDS_PER_BATCH)
            for tenant, bodies in self.bodies.items()
        )


@dataclass(frozen=True, slots=True)
class Served:
    """A server that takes the load: its address and the processes that work for it."""

    name: str
    target: str
    feeds: tuple[Feed, ...]
    server_pid: int
    postgres_pid: int


class IngestArm:
    """Sends the load to one server for `seconds` at a time; each run resumes the streams of the former."""

    def __init__(self, runner: asyncio.Runner, served: Served, seconds: float) -> None:
        self._runner = runner
        self._served = served
        self._seconds = seconds
        self._channel = runner.run(_connect(served.target))

    @property
    def name(self) -> str:
        """The server's name."""
        return self._served.name

    def send(self, more: KeepSending) -> Driven:
        """Sends without metering the server, to fill it."""
        return self._runner.run(drive(self._channel, self._served.feeds, IN_FLIGHT, more))

    def measure(self) -> Sample:
        """Sends for `seconds` and meters server and PostgreSQL meanwhile."""
        served = self._served
        server_before, postgres_before = tree_cpu_s(served.server_pid), tree_cpu_s(served.postgres_pid)
        driven = self.send(for_seconds(self._seconds))
        return Sample(
            records=driven.records,
            wall_s=driven.wall_s,
            cpu_s=tree_cpu_s(served.server_pid) - server_before,
            storage_cpu_s=tree_cpu_s(served.postgres_pid) - postgres_before,
            ack_ms=driven.ack_ms,
        )

    def close(self) -> None:
        """Closes the channel."""
        self._runner.run(self._channel.close())


async def _connect(target: str) -> grpc.aio.Channel:
    """Opens the channel on the running loop, to which it stays bound."""
    return grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)
