"""The state of a stream across its connections: what the gateway has said, and what came of each batch."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final
from uuid import UUID

from intelgraph.client.failures import from_status
from intelgraph.client.outcomes import Outcome, Outcomes, OutcomeStatus, Totals
from intelgraph.client.wakeup import Signal
from intelgraph.client.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from intelgraph.client.batching import Batch
    from intelgraph.errors import IntelGraphError
    from intelgraph.gateway.v1 import ingest_pb2

_log: Final = logging.getLogger("intelgraph.client")


class Progress:
    """What the sending side and the connection of one stream share. Lives on one event loop."""

    def __init__(self, on_outcome: Callable[[Outcome], None] | None, in_flight_bytes: int) -> None:
        self.window = Window(in_flight_bytes)
        self.signal = Signal()
        self.totals = Totals()
        self.opened: ingest_pb2.StreamOpened | None = None
        self.times_opened = 0
        self.closing = False
        self.failure: Exception | None = None
        self.waits_for: IntelGraphError | None = None
        """What the gateway refused with since it last settled a batch or opened the stream."""
        self._on_outcome = on_outcome
        self._subscribers: list[Outcomes] = []
        self._unobserved: IntelGraphError | None = None

    def on_opened(self, opened: ingest_pb2.StreamOpened) -> None:
        """A connection is open. Raises as `Window.opened` does."""
        settled = self.window.opened(opened.last_committed_sequence, opened.credit_bytes)
        self.opened = opened
        self.waits_for = None
        self.times_opened += 1
        for batch in settled:
            self._settle(
                Outcome(
                    status=OutcomeStatus.SETTLED_ON_RESUME,
                    sequence=batch.sequence,
                    first_record=batch.first_record,
                    records=batch.records,
                    size=batch.size,
                    seconds=_seconds_since_sent(batch),
                )
            )
        self.signal.changed()

    def on_ack(self, ack: ingest_pb2.BatchAck) -> None:
        """A batch is durable. Raises as `Window.settled` does."""
        batch = self.window.settled(ack.sequence, ack.credit_bytes)
        self._settle(
            Outcome(
                status=OutcomeStatus.ACKNOWLEDGED,
                sequence=batch.sequence,
                first_record=batch.first_record,
                records=batch.records,
                size=batch.size,
                seconds=_seconds_since_sent(batch),
                accepted=ack.accepted,
                unchanged=ack.unchanged,
                duplicate=ack.duplicate,
                quarantined=ack.quarantined,
                first_change_seq=ack.first_change_seq or None,
                last_change_seq=ack.last_change_seq or None,
                recorded_us=ack.recorded_us,
                quarantine_id=UUID(ack.quarantine_id) if ack.quarantine_id else None,
                warned=ack.warned,
                stored_id=UUID(ack.stored_id) if ack.stored_id else None,
            )
        )
        self.signal.changed()

    def on_rejected(self, rejected: ingest_pb2.BatchRejected) -> IntelGraphError | None:
        """A batch is not stored. Raises as `Window.settled` and `Window.refused` do.

        Returns the error once everything in flight has been refused and waits to be sent again.
        """
        error = from_status(rejected.status)
        if not rejected.consumed:
            everything = self.window.refused(rejected.sequence, rejected.credit_bytes)
            self.signal.changed()
            return error if everything else None
        batch = self.window.settled(rejected.sequence, rejected.credit_bytes)
        _log.warning("batch %d was rejected for good: %s", batch.sequence, error.reason)
        self._settle(
            Outcome(
                status=OutcomeStatus.REJECTED,
                sequence=batch.sequence,
                first_record=batch.first_record,
                records=batch.records,
                size=batch.size,
                seconds=_seconds_since_sent(batch),
                error=error,
            )
        )
        self.signal.changed()
        return None

    def fail(self, failure: Exception) -> None:
        """The stream is over; whoever waits is told why."""
        self.failure = failure
        self.signal.changed()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns once the condition holds. Raises what ended the stream if that comes first."""
        await self.signal.until(lambda: self.failure is not None or condition())
        if self.failure is not None:
            raise self.failure

    def subscribe(self) -> Outcomes:
        """The outcomes from now on."""
        outcomes = Outcomes()
        self._subscribers.append(outcomes)
        return outcomes

    def end_outcomes(self) -> None:
        """No outcome will follow."""
        for subscriber in self._subscribers:
            subscriber.end()
        self._subscribers.clear()

    def raise_unobserved_rejection(self) -> None:
        """Raises the error of a batch that was rejected while nobody listened to outcomes, once."""
        error, self._unobserved = self._unobserved, None
        if error is not None:
            raise error

    def _settle(self, outcome: Outcome) -> None:
        self.totals = self.totals.plus(outcome)
        self.waits_for = None
        if self._on_outcome is None and not self._subscribers:
            self._unobserved = self._unobserved or outcome.error
        if self._on_outcome is not None:
            self._on_outcome(outcome)
        for subscriber in self._subscribers:
            subscriber.put(outcome)


def _seconds_since_sent(batch: Batch) -> float:
    return time.monotonic() - batch.first_sent if batch.first_sent is not None else 0.0
