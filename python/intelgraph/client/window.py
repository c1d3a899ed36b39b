"""What was sent and not yet answered: the rules of exactly-once sending, without any I/O.

- Every batch is kept until it is answered, in order of sequence; sequences have no gaps.
- What is in flight stays within the gateway's credit and a bound of the client's own. One batch may always be
  in flight, so that a credit smaller than a batch slows the stream and cannot stop it.
- After a disconnect, what the gateway reports as committed is settled and never sent again; the rest is sent
  again in order, in the same bytes.
- A batch that is refused for now takes all that was sent after it along: the gateway refuses those as well.
  Once all of them are answered, they are sent again in order.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from intelgraph.errors import Aborted, DataLoss, Internal

if TYPE_CHECKING:
    from intelgraph.client.batching import Batch


class Window:
    """The unanswered batches of one stream; at most `bound` bytes of them in flight."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self._unanswered: deque[Batch] = deque()
        self._in_flight = 0
        self._in_flight_bytes = 0
        self._refused = 0
        self._held = False
        self._credit = 0
        self._committed: int | None = None
        self._highest_sent = 0

    @property
    def next_sequence(self) -> int:
        """Sequence of the next batch to add. Known once the stream has been opened."""
        if self._committed is None:
            raise RuntimeError("the stream has not been opened")
        return self._committed + len(self._unanswered) + 1

    @property
    def is_empty(self) -> bool:
        """Whether every batch has been answered."""
        return not self._unanswered

    @property
    def unsent(self) -> int:
        """Number of batches that wait for credit or for a connection."""
        return len(self._unanswered) - self._in_flight

    @property
    def in_flight(self) -> int:
        """Number of batches sent on this connection and not yet answered."""
        return self._in_flight

    @property
    def in_flight_bytes(self) -> int:
        """Bytes of the batches in flight."""
        return self._in_flight_bytes

    @property
    def credit(self) -> int:
        """Bytes that the gateway takes in addition to what is in flight."""
        return max(self._credit, 0)

    def opened(self, last_committed: int, credit: int) -> list[Batch]:
        """The gateway has opened the stream. Returns the batches that turn out to be settled, in order.

        Raises Aborted (STREAM_TAKEN) where batches are committed that this stream never sent, and DataLoss
        (STREAM_REWOUND) where the gateway no longer knows of a batch it had answered.
        """
        if self._committed is None:
            self._committed = self._highest_sent = last_committed
        if last_committed > self._highest_sent:
            raise Aborted(
                reason="STREAM_TAKEN",
                message=f"batch {last_committed} is committed, but only {self._highest_sent} were sent",
                fix="give every running producer its own stream id",
            )
        if last_committed < self._committed:
            raise DataLoss(
                reason="STREAM_REWOUND",
                message=f"batch {self._committed} was answered; now {last_committed} is the last one known",
                fix="its database was set back: send what followed that batch again on a new stream id",
            )
        self.disconnected()
        self._credit = credit
        return [self._pop() for _ in range(last_committed - self._committed)]

    def disconnected(self) -> None:
        """The connection is gone, and with it every answer that was under way."""
        self._in_flight = self._in_flight_bytes = 0
        self._refused = 0
        self._held = False
        self._credit = 0

    def add(self, batch: Batch) -> None:
        """Adds a batch; its sequence is `next_sequence`."""
        self._unanswered.append(batch)

    def next_to_send(self) -> Batch | None:
        """The next batch, which counts as sent from now on; None while there is none or it has to wait."""
        if self._refused or self._held or not self.unsent:
            return None
        batch = self._unanswered[self._in_flight]
        if self._in_flight and not self._fits(batch.size):
            return None
        self._in_flight += 1
        self._in_flight_bytes += batch.size
        self._credit -= batch.size
        self._highest_sent = max(self._highest_sent, batch.sequence)
        return batch

    def settled(self, sequence: int, credit: int) -> Batch:
        """The batch was acknowledged, or rejected for good. Returns it.

        Raises Internal (PROTOCOL_VIOLATION) for an answer out of order.
        """
        if self._refused:
            raise _violation(f"batch {sequence} was settled after an earlier one was refused")
        self._expect(sequence)
        self._in_flight -= 1
        self._in_flight_bytes -= self._unanswered[0].size
        self._credit += credit
        return self._pop()

    def refused(self, sequence: int, credit: int) -> bool:
        """The batch is to be sent again. True once all in flight is answered: then `resume` after the delay.

        Raises Internal (PROTOCOL_VIOLATION) for an answer out of order.
        """
        self._expect(sequence)
        self._refused += 1
        self._credit += credit
        if self._refused < self._in_flight:
            return False
        self._in_flight = self._in_flight_bytes = 0
        self._refused = 0
        self._held = True
        return True

    def resume(self) -> None:
        """Lets refused batches be sent again."""
        self._held = False

    def _fits(self, size: int) -> bool:
        return size <= self._credit and self._in_flight_bytes + size <= self.bound

    def _expect(self, sequence: int) -> None:
        if self._refused >= self._in_flight:
            raise _violation(f"batch {sequence} was answered and none is awaited")
        expected = self._unanswered[self._refused].sequence
        if sequence != expected:
            raise _violation(f"batch {sequence} was answered instead of {expected}")

    def _pop(self) -> Batch:
        batch = self._unanswered.popleft()
        self._committed = batch.sequence
        return batch


def _violation(what: str) -> Internal:
    return Internal(
        reason="PROTOCOL_VIOLATION",
        message=what,
        fix="report it with the versions of gateway and client; the stream can be opened again",
    )
