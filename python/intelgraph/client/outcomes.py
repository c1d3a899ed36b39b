"""What came of the batches of a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from intelgraph.errors import IntelGraphError


class OutcomeStatus(Enum):
    """How a batch was settled."""

    ACKNOWLEDGED = "acknowledged"
    """Durable, and its counts are known."""
    SETTLED_ON_RESUME = "settled_on_resume"
    """Settled durably while the connection broke, so that its answer was lost. It is not sent again. The wire
    does not repeat an answer: how many of its records were accepted is not known to the client."""
    REJECTED = "rejected"
    """Not stored, for good: `error` says why. None of its records was stored."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one batch.

    Where acknowledged, `records` = `accepted` + `unchanged` + `duplicate` + `quarantined`; else these are 0.
    """

    status: OutcomeStatus
    sequence: int
    first_record: int
    """Ordinal of its first record among all that the stream was given, from 0."""
    records: int
    size: int
    """Bytes sent."""
    seconds: float
    """From the first sending of the batch to its answer."""
    accepted: int = 0
    unchanged: int = 0
    duplicate: int = 0
    quarantined: int = 0
    first_change_seq: int | None = None
    last_change_seq: int | None = None
    recorded_us: int | None = None
    quarantine_id: UUID | None = None
    warned: int = 0
    """Of the accepted records, those that break the contract."""
    stored_id: UUID | None = None
    """The entry with the report on them."""
    error: IntelGraphError | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the settled batches of a stream, in records unless said otherwise.

    Always `sent` = `accepted` + `unchanged` + `duplicate` + `quarantined` + `rejected` +
    `settled_on_resume`.
    """

    batches: int = 0
    size: int = 0
    """Bytes sent."""
    sent: int = 0
    accepted: int = 0
    unchanged: int = 0
    duplicate: int = 0
    quarantined: int = 0
    rejected: int = 0
    settled_on_resume: int = 0
    warned: int = 0
    """Of the accepted ones, those that break the contract."""

    def plus(self, outcome: Outcome) -> Totals:
        """The sums with one more batch."""
        rejected = outcome.records if outcome.status is OutcomeStatus.REJECTED else 0
        on_resume = outcome.records if outcome.status is OutcomeStatus.SETTLED_ON_RESUME else 0
        return Totals(
            batches=self.batches + 1,
            size=self.size + outcome.size,
            sent=self.sent + outcome.records,
            accepted=self.accepted + outcome.accepted,
            unchanged=self.unchanged + outcome.unchanged,
            duplicate=self.duplicate + outcome.duplicate,
            quarantined=self.quarantined + outcome.quarantined,
            rejected=self.rejected + rejected,
            settled_on_resume=self.settled_on_resume + on_resume,
            warned=self.warned + outcome.warned,
        )


class Outcomes(AsyncIterator[Outcome]):
    """The outcomes of a stream from the moment this was asked for; ends when the stream is closed.

    Holds what was not read yet: about 300 bytes a batch.
    """

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Outcome | None] = asyncio.Queue()

    def put(self, outcome: Outcome) -> None:
        """Adds an outcome."""
        self._queue.put_nowait(outcome)

    def end(self) -> None:
        """Ends the iteration after what was added."""
        self._queue.put_nowait(None)

    async def __anext__(self) -> Outcome:
        outcome = await self._queue.get()
        if outcome is None:
            self._queue.put_nowait(None)
            raise StopAsyncIteration
        return outcome
