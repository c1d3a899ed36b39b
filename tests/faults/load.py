"""Producers that send without end, and remember what they sent and what they were answered.

Their records name no event time. So a record that is sent again after it was stored would be stored again: only
the stream's position keeps it from being there twice.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from intelgraph.client import AsyncClient, Outcome, OutcomeStatus

DATASET: Final = "readings"
CONTRACT: Final = json.dumps(
    {
        "datasetId": DATASET,
        "version": "1.0.0",
        "tenantId": "local",
        "license": "Open-Data-OK",
        "purpose": ["test"],
        "retention": "short-30d",
        "sla": {},
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": ["sensor", "value"],
            "properties": {
                "sensor": {"type": "string"},
                "value": {"type": "integer"},
                "by": {"type": "string"},
                "steady": {"type": "object"},
            },
        },
        "mapping": {"entity": {"type": "sensor", "key": ["/sensor"]}},
        "placement": {"homeRegion": "local", "classification": "public"},
    }
).encode()

_STEADY: Final = {f"field{number}": "x" * 30 for number in range(8)}


@dataclass
class Producer:
    """One stream. Each of its records changes one of its sensors."""

    stream_id: str
    sensors: list[str]
    batch_records: int = 40
    pause: float = 0.01
    sent: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """The values of each sensor, in the order in which they were sent."""
    outcomes: list[Outcome] = field(default_factory=list)
    reconnects: int = 0
    _value: int = 0

    async def run(self, client: AsyncClient, stop: asyncio.Event) -> None:
        """Sends until it is told to stop, and returns when everything is answered."""
        stream = client.stream(DATASET, self.stream_id, producer="faults", on_outcome=self.outcomes.append)
        async with stream:
            while not stop.is_set():
                await stream.send([self._record() for _ in range(self.batch_records)])
                await asyncio.sleep(self.pause)
            await stream.flush(90)
        self.reconnects = stream.reconnects

    def _record(self) -> dict[str, object]:
        self._value += 1
        sensor = self.sensors[self._value % len(self.sensors)]
        self.sent[sensor].append(self._value)
        return {"sensor": sensor, "value": self._value, "by": self.stream_id, "steady": _STEADY}

    @property
    def settled(self) -> dict[int, int]:
        """Records of each committed batch, by its sequence. Fails for a batch that was not committed whole."""
        for outcome in self.outcomes:
            assert outcome.status is not OutcomeStatus.REJECTED, outcome.error
            assert outcome.status is not OutcomeStatus.ACKNOWLEDGED or outcome.accepted == outcome.records
        return {outcome.sequence: outcome.records for outcome in self.outcomes}


def producers(count: int, sensors: int = 50) -> list[Producer]:
    """Streams that share no sensor."""
    return [
        Producer(f"stream-{number}", [f"sensor-{number}-{sensor}" for sensor in range(sensors)])
        for number in range(count)
    ]


@asynccontextmanager
async def load(client: AsyncClient, streams: list[Producer]) -> AsyncIterator[None]:
    """Runs the producers while the block runs, and returns when everything they sent is answered."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for producer in streams:
            tasks.create_task(producer.run(client, stop))
        try:
            yield
        finally:
            stop.set()
