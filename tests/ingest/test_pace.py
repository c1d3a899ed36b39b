"""Records per second: as many as the rate says, in turn, and at a new rate at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest

from intelgraph.ingest.pace import Pace


async def _seconds(work: Awaitable[object]) -> float:
    began = time.monotonic()
    await work
    return time.monotonic() - began


@asynccontextmanager
async def _waiting(pace: Pace, records: int) -> AsyncIterator[asyncio.Task[None]]:
    """Somebody who waits for his turn."""
    task = asyncio.create_task(pace.take(records))
    await asyncio.sleep(0.05)
    assert not task.done()
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("batches", [[1500], [300] * 5, [700, 800], [1000, 1, 499]])
async def test_a_second_s_worth_goes_at_once_and_the_rest_at_the_rate(batches: list[int]) -> None:
    pace = Pace(1000)
    seconds = await _seconds(asyncio.gather(*(pace.take(records) for records in batches)))
    assert 0.49 < seconds < 0.8


async def test_no_rate_is_no_wait() -> None:
    assert await _seconds(Pace(0).take(1_000_000)) < 0.1


async def test_those_who_wait_go_in_turn() -> None:
    pace, went = Pace(100), list[int]()

    async def take(number: int, records: int) -> None:
        await pace.take(records)
        went.append(number)

    await asyncio.gather(*(take(number, records) for number, records in enumerate([100, 30, 1, 10])))
    assert went == [0, 1, 2, 3]


async def test_a_higher_rate_is_there_for_who_waits() -> None:
    pace = Pace(1)
    async with _waiting(pace, 50) as first, _waiting(pace, 50) as second:
        pace.set_rate(1000)
        assert await _seconds(asyncio.gather(first, second)) < 0.5


async def test_who_waits_goes_when_the_limit_is_lifted() -> None:
    pace = Pace(1)
    async with _waiting(pace, 1000) as first, _waiting(pace, 1000) as second:
        pace.set_rate(0)
        assert await _seconds(asyncio.gather(first, second)) < 0.2


async def test_a_lower_rate_does_not_count_what_the_higher_one_let_go() -> None:
    pace = Pace(1_000_000)
    await pace.take(1_000_000)
    pace.set_rate(10)
    assert 0.4 < await _seconds(pace.take(5)) < 1.0


async def test_who_gives_up_waiting_lets_the_next_go() -> None:
    pace = Pace(100)
    await pace.take(100)
    async with _waiting(pace, 100), _waiting(pace, 10) as second:
        pass
    assert second.cancelled()
    assert await _seconds(pace.take(1)) < 0.2
