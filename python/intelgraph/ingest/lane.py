"""The order of one stream's batches, from the first byte to the reply."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from intelgraph import errors
from intelgraph._core import Prepared
from intelgraph.ingest import metrics
from intelgraph.ingest.positions import Position


@dataclass(slots=True)
class Lane:
    """What of a stream the reader and the committer must agree on."""

    expected: int
    """The next sequence that is taken."""
    turn_starts: list[int] = field(default_factory=list)
    """The sequence at which each turn but the first began, lowered to where a later one began."""

    @property
    def turn(self) -> int:
        """Raised when a batch is handed back: those of an older turn are handed back too, from that batch on."""
        return len(self.turn_starts)

    def has_turn(self, submission: Submission) -> bool:
        """Whether neither the batch nor one before it was handed back since it was submitted."""
        if submission.turn == self.turn:
            return True
        return submission.target.sequence < self.turn_starts[submission.turn]

    def begin_turn(self, sequence: int) -> None:
        """Batch `sequence` is handed back, and expected again. Those before it stay on their way."""
        self.turn_starts = [*(min(start, sequence) for start in self.turn_starts), sequence]
        self.expected = sequence


@dataclass(slots=True)
class Submission:
    """A batch on its way to being committed."""

    lane: Lane
    """The batch's stream."""
    turn: int
    """The lane's turn when the batch was submitted."""
    target: Position
    """The stream, the epoch it was opened with, and the sequence that the commit moves it to."""
    batch: Prepared | None
    """The batch; `None` for a rejected one whose sequence is consumed all the same."""
    size: int
    """Bytes of the batch as received."""
    rejection: bytes = b""
    """The reply of a rejected batch."""
    reply: asyncio.Future[bytes] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """The encoded reply, or the error with which the batch is handed back."""


def in_turn(group: Iterable[Submission]) -> list[Submission]:
    """The batches that may be committed. Those behind one that was handed back are handed back here."""
    kept: list[Submission] = []
    for submission in group:
        if submission.lane.has_turn(submission):
            kept.append(submission)
        else:
            hand_back([submission], _out_of_turn())
    return kept


def hand_back(group: Iterable[Submission], error: errors.IntelGraphError) -> None:
    """Answers batches with an error and makes their streams expect them again. `group` is in order."""
    for submission in group:
        lane = submission.lane
        if lane.has_turn(submission):
            lane.begin_turn(submission.target.sequence)
        if not submission.reply.done():
            submission.reply.set_exception(error)
            metrics.HANDED_BACK.inc()


def _out_of_turn() -> errors.IntelGraphError:
    return errors.Aborted(
        "BATCH_OUT_OF_TURN",
        "a batch before this one was handed back",
        fix="send the batches again, in order, beginning with the one that was handed back first",
        retry_after=0.0,
    )
