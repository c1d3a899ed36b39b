"""The order of one stream's batches, from the first byte to the reply."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from intelgraph import errors
from intelgraph._core import Prepared
from intelgraph.ingest.positions import Position


@dataclass(slots=True)
class Lane:
    """What of a stream the reader and the committer must agree on."""

    expected: int
    """The next sequence that is taken."""
    turn: int = 0
    """Raised when a batch is handed back: those submitted behind it, in an older turn, are handed back too."""


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
        if submission.turn == submission.lane.turn:
            kept.append(submission)
        else:
            hand_back([submission], _out_of_turn())
    return kept


def hand_back(group: Iterable[Submission], error: errors.IntelGraphError) -> None:
    """Answers batches with an error and makes their streams expect them again. `group` is in order."""
    for submission in group:
        lane = submission.lane
        if submission.turn == lane.turn:
            lane.turn += 1
            lane.expected = submission.target.sequence
        if not submission.reply.done():
            submission.reply.set_exception(error)


def _out_of_turn() -> errors.IntelGraphError:
    return errors.Aborted(
        "BATCH_OUT_OF_TURN",
        "a batch before this one was handed back",
        fix="send the batches again, in order, beginning with the one that was handed back first",
        retry_after=0.0,
    )
