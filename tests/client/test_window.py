"""Exactly once, whatever breaks: the window against a gateway that loses connections and answers."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intelgraph import errors
from intelgraph.client.batching import Batch
from intelgraph.client.window import Window


def batch(sequence: int, size: int = 10) -> Batch:
    return Batch(sequence=sequence, frame=b"x" * size, records=1, first_record=sequence - 1)


class Wire:
    """A connection and the gateway behind it. What is committed stays; what is under way can be lost."""

    def __init__(self, window: Window, credit: int) -> None:
        self.window = window
        self.credit = credit
        self.committed: list[int] = []
        self.settled: list[int] = []
        self.under_way: deque[Batch] = deque()
        self.answers: deque[tuple[str, int, int]] = deque()
        self.refusing = False
        self.in_flight = 0

    def connect(self) -> None:
        self.under_way.clear()
        self.answers.clear()
        self.refusing = False
        self.in_flight = 0
        self.settled += [b.sequence for b in self.window.opened(len(self.committed), self.credit)]

    def send_one(self) -> None:
        if (sent := self.window.next_to_send()) is not None:
            self.in_flight += sent.size
            assert self.in_flight <= self.credit or self.window.in_flight == 1
            self.under_way.append(sent)

    def receive_one(self, *, refuse: bool) -> None:
        if not self.under_way:
            return
        received = self.under_way.popleft()
        if received.sequence != len(self.committed) + 1 or refuse:
            self.answers.append(("refused", received.sequence, received.size))
        else:
            self.committed.append(received.sequence)
            self.answers.append(("settled", received.sequence, received.size))

    def answer_one(self) -> None:
        if not self.answers:
            return
        kind, sequence, size = self.answers.popleft()
        self.in_flight -= size
        if kind == "settled":
            self.settled.append(self.window.settled(sequence, size).sequence)
        elif self.window.refused(sequence, size):
            self.window.resume()


STEPS = ("add", "send", "receive", "refuse", "answer", "cut")


@settings(max_examples=500)
@given(st.lists(st.sampled_from(STEPS), max_size=120), st.integers(5, 60))
def test_every_batch_is_committed_once_and_settled_once(steps: list[str], credit: int) -> None:
    window = Window(bound=1 << 20)
    wire = Wire(window, credit)
    wire.connect()
    added = 0
    for step in steps:
        if step == "add":
            window.add(batch(window.next_sequence, 5 + window.next_sequence % 11))
            added += 1
        elif step == "send":
            wire.send_one()
        elif step in {"receive", "refuse"}:
            wire.receive_one(refuse=step == "refuse")
        elif step == "answer":
            wire.answer_one()
        else:
            window.disconnected()
            wire.connect()
    for _ in range(4 * added + 4):
        wire.send_one()
        wire.receive_one(refuse=False)
        wire.answer_one()
    assert wire.committed == list(range(1, added + 1))
    assert wire.settled == wire.committed
    assert window.is_empty
    assert window.in_flight_bytes == window.in_flight == 0
    assert window.credit == credit


def opened_window(*sizes: int, credit: int = 100) -> Window:
    window = Window(bound=1 << 20)
    window.opened(0, credit)
    for size in sizes:
        window.add(batch(window.next_sequence, size))
    return window


def test_an_answer_out_of_order_is_a_violation() -> None:
    window = opened_window(10, 10)
    window.next_to_send()
    window.next_to_send()
    with pytest.raises(errors.Internal, match="PROTOCOL_VIOLATION"):
        window.settled(2, 10)


def test_an_answer_to_nothing_is_a_violation() -> None:
    window = opened_window(10)
    with pytest.raises(errors.Internal, match="PROTOCOL_VIOLATION"):
        window.settled(1, 10)


def test_a_batch_that_passes_a_refused_one_is_a_violation() -> None:
    window = opened_window(10, 10)
    window.next_to_send()
    window.next_to_send()
    assert not window.refused(1, 10)
    with pytest.raises(errors.Internal, match="PROTOCOL_VIOLATION"):
        window.settled(2, 10)


def test_nothing_is_sent_between_a_refusal_and_its_delay() -> None:
    window = opened_window(10, 10)
    window.next_to_send()
    assert window.refused(1, 10)
    assert window.next_to_send() is None
    window.resume()
    again = window.next_to_send()
    assert again is not None
    assert again.sequence == 1


def test_one_batch_may_exceed_the_credit() -> None:
    window = opened_window(500, 10)
    first = window.next_to_send()
    assert first is not None
    assert window.next_to_send() is None
    window.settled(1, 500)
    assert window.next_to_send() is not None


def test_the_clients_own_bound_holds_however_much_credit_there_is() -> None:
    window = Window(bound=25)
    window.opened(0, 1000)
    for _ in range(3):
        window.add(batch(window.next_sequence, 10))
    assert window.next_to_send() is not None
    assert window.next_to_send() is not None
    assert window.next_to_send() is None
    window.settled(1, 10)
    assert window.next_to_send() is not None


def test_credit_that_the_gateway_withholds_slows_the_stream() -> None:
    window = opened_window(40, 40, 40, 40)
    assert window.next_to_send() is not None
    assert window.next_to_send() is not None
    assert window.next_to_send() is None
    window.settled(1, 0)
    assert window.next_to_send() is None
    window.settled(2, 60)
    assert window.next_to_send() is not None
    assert window.next_to_send() is not None
