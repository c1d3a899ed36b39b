"""The load of the ingest benchmark: 4 streams of 4 tenants, batches of 512 records of 1 KiB, 3 of 20 fields
changed."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from benches.channels import close, open_channels
from benches.checkpoints import checkpoint_periodically
from benches.client import Driven, Feed, Metadata, drive, for_seconds
from benches.harness.process_tree import tree_cpu_s, tree_resident_bytes
from benches.harness.sample import Sample
from benches.postgres import Postgres
from benches.records import DATASET, Shipment
from benches.wire import batch_body

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
    postgres: Postgres
    workers: int = 1
    """Processes that share the address; each gets a connection."""


class IngestArm:
    """Sends the load to one server for `seconds` at a time; each run resumes the streams of the former."""

    def __init__(
        self, runner: asyncio.Runner, served: Served, seconds: float, *, checkpoints: bool = False
    ) -> None:
        """With `checkpoints`, PostgreSQL writes some meanwhile, and the arm's name says so."""
        self._runner = runner
        self._served = served
        self._seconds = seconds
        self._checkpoints = checkpoints
        self._channels = runner.run(open_channels(served.target, served.server_pid, served.workers))

    @property
    def name(self) -> str:
        """The server's name."""
        return f"sustained_{self._served.name}" if self._checkpoints else self._served.name

    def measure(self) -> Sample:
        """Sends for `seconds` and meters server and PostgreSQL meanwhile."""
        server, postgres = self._served.server_pid, self._served.postgres.pid
        server_before, postgres_before = tree_cpu_s(server, without=postgres), tree_cpu_s(postgres)
        driven = self._runner.run(self._send())
        return Sample(
            records=driven.records,
            wall_s=driven.wall_s,
            cpu_s=tree_cpu_s(server, without=postgres) - server_before,
            storage_cpu_s=tree_cpu_s(postgres) - postgres_before,
            ack_ms=driven.ack_ms,
            resident_bytes=tree_resident_bytes(server, without=postgres),
        )

    async def _send(self) -> Driven:
        sending = drive(self._channels, self._served.feeds, IN_FLIGHT, for_seconds(self._seconds))
        if not self._checkpoints:
            return await sending
        checkpoints = asyncio.create_task(checkpoint_periodically(self._served.postgres))
        try:
            return await sending
        finally:
            checkpoints.cancel()

    def close(self) -> None:
        """Closes the channels."""
        self._runner.run(close(self._channels))
