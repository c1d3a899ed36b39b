"""Streams the records of a source into a dataset and keeps what came of them."""

from __future__ import annotations

import math
import socket
import time
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING

from intelgraph.client import Outcome, OutcomeStatus, Totals

if TYPE_CHECKING:
    from collections.abc import Callable

    from intelgraph.cli.record_source import RecordSource
    from intelgraph.cli.unreadable import Unreadable
    from intelgraph.client import AsyncClient, RecordStream


@dataclass(frozen=True, slots=True)
class Destination:
    """Where records go, and what is kept of where they came from."""

    dataset: str
    stream_id: str
    producer: str
    contract_version: str = ""
    source_region: str = ""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of one source."""

    source: str
    """Name of the file."""
    destination: Destination
    totals: Totals
    seconds: float
    ack_seconds: tuple[float, ...]
    """For each batch, from sending to its answer."""
    quarantined: tuple[Outcome, ...]
    """Of each batch with records in quarantine."""
    rejections: tuple[Outcome, ...]
    unreadable: Unreadable
    reconnects: int
    warned: tuple[Outcome, ...] = ()
    """Of each batch that stored what breaks the contract."""

    @property
    def records_per_second(self) -> float:
        """Records settled a second."""
        return self.totals.sent / self.seconds if self.seconds else 0.0

    @property
    def has_findings(self) -> bool:
        """Whether a record was not taken as it came."""
        return bool(self.totals.quarantined or self.totals.rejected or self.unreadable.total)


def new_stream_id(dataset: str) -> str:
    """A stream id that no other run has."""
    return f"{dataset}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{token_hex(4)}"


def producer_of_this_host() -> str:
    """The provenance of records that were ingested by hand."""
    return f"cli@{socket.gethostname()}"


def p95(seconds: tuple[float, ...]) -> float:
    """The 95th percentile by nearest rank; 0 of nothing."""
    ordered = sorted(seconds)
    return ordered[math.ceil(0.95 * len(ordered)) - 1] if ordered else 0.0


async def load(
    client: AsyncClient,
    destination: Destination,
    source: RecordSource,
    observe: Callable[[Totals, int], None],
    follow: Callable[[RecordStream], None],
) -> Loaded:
    """Sends every record of the source and waits until all are answered.

    `observe` is told, after each batch, the sums and the bytes read so far; `follow` is given the
    stream once it is open. A record that no batch holds is counted as unreadable. Raises what ends the stream.
    """
    ack_seconds: list[float] = []
    quarantined: list[Outcome] = []
    warned: list[Outcome] = []
    rejections: list[Outcome] = []

    def settled(outcome: Outcome) -> None:
        if outcome.status is OutcomeStatus.ACKNOWLEDGED:
            ack_seconds.append(outcome.seconds)
        if outcome.status is OutcomeStatus.REJECTED:
            rejections.append(outcome)
        if outcome.quarantine_id is not None:
            quarantined.append(outcome)
        if outcome.stored_id is not None:
            warned.append(outcome)
        observe(stream.totals, source.position())

    stream = client.stream(
        destination.dataset,
        destination.stream_id,
        producer=destination.producer,
        contract_version=destination.contract_version,
        source_region=destination.source_region,
        on_outcome=settled,
    )
    began = time.monotonic()
    async with stream:
        follow(stream)
        await stream.send(source.records_within(stream.most_document_bytes))
        totals = await stream.flush()
        seconds = time.monotonic() - began
    return Loaded(
        source=source.name,
        destination=destination,
        totals=totals,
        seconds=seconds,
        ack_seconds=tuple(ack_seconds),
        quarantined=tuple(quarantined),
        rejections=tuple(rejections),
        unreadable=source.unreadable,
        reconnects=stream.reconnects,
        warned=tuple(warned),
    )
