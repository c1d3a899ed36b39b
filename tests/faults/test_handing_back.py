"""A batch that fails takes those after it along, and none before it."""

from __future__ import annotations

from intelgraph.errors import Unavailable
from intelgraph.ingest.lane import Lane, Submission, hand_back, in_turn
from intelgraph.ingest.positions import Position


class _Stream:
    """Submits batches as a session does."""

    def __init__(self) -> None:
        self.lane = Lane(1)

    def submit(self) -> Submission:
        sequence = self.lane.expected
        self.lane.expected += 1
        return Submission(self.lane, self.lane.turn, Position(1, 1, sequence), None, 0)


def _failure() -> Unavailable:
    return Unavailable("STORAGE_UNAVAILABLE", "away", fix="wait", retry_after=1.0)


def _sequences(group: list[Submission]) -> list[int]:
    return [submission.target.sequence for submission in group]


async def test_those_before_it_stay_on_their_way() -> None:
    stream = _Stream()
    batches = [stream.submit() for _ in range(4)]
    hand_back([batches[2]], _failure())
    assert stream.lane.expected == 3
    assert _sequences(in_turn(batches)) == [1, 2]
    assert [batch.reply.done() for batch in batches] == [False, False, True, True]
    again = stream.submit()
    assert _sequences(in_turn([*batches[:2], again])) == [1, 2, 3]


async def test_an_earlier_one_that_fails_later_takes_all_along() -> None:
    stream = _Stream()
    batches = [stream.submit() for _ in range(3)]
    hand_back([batches[2]], _failure())
    again = stream.submit()
    hand_back([batches[0]], _failure())
    assert stream.lane.expected == 1
    assert in_turn([*batches, again]) == []
    assert stream.lane.expected == 1
    once_more = [stream.submit() for _ in range(3)]
    assert _sequences(in_turn([*batches, again, *once_more])) == [1, 2, 3]
    assert stream.lane.expected == 4
    for batch in (*batches, again):
        assert batch.reply.exception() is not None
