"""Live traffic goes first: an operation waits between two steps while ingest is slower than it is without one.

Measured is what this process's commits take. Those that no step ran beside say what is usual (the baseline); when the
95th percentile of the last seconds rises above that, the next step waits, and longer each time, up to a bound beyond
which it goes on in any case: an operation under steady load is slow, and does not stand still.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

WINDOW_SECONDS: Final = 2.0
"""What is "of late"."""
FEWEST: Final = 5
"""With fewer commits than this in the window there is no live traffic to yield to."""
BASELINE_COMMITS: Final = 512
BASELINE_FEWEST: Final = 20
AFTERMATH_SECONDS: Final = 0.25
"""How long after a step what commits take is still put down to it."""
RISE: Final = 1.5
SLACK_SECONDS: Final = 0.005
"""Ingest is slower than usual where p95 > RISE x baseline + SLACK_SECONDS."""
SHORTEST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0
LONGEST_YIELD: Final = 5.0
"""A step waits no longer than this, however slow ingest is."""


def p95(seconds: Iterable[float]) -> float:
    """The 95th percentile (nearest rank) of some times, at least one."""
    ordered = sorted(seconds)
    return ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]


@dataclass(slots=True)
class Decision:
    """How long steps wait, from one look at ingest to the next."""

    pause: float = 0.0

    def take(self, baseline: float | None, now: float | None) -> float:
        """The pause before the next step, in seconds: 0 where ingest is as fast as ever. `baseline` and `now` are p95
        in seconds; None where there was too little to tell.
        """
        if now is None:
            self.pause = 0.0
        elif baseline is None:
            # What is usual can only be seen while nothing else runs.
            self.pause = SHORTEST_PAUSE
        elif now > RISE * baseline + SLACK_SECONDS:
            self.pause = min(max(self.pause * 2, SHORTEST_PAUSE), LONGEST_PAUSE)
        else:
            self.pause = 0.0
        return self.pause


@dataclass(slots=True)
class Pace:
    """The pace of all operations of a process."""

    commits: deque[tuple[float, float]]
    """See `ingest.metrics.RECENT_COMMITS`."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _quiet: deque[float] = field(default_factory=lambda: deque(maxlen=BASELINE_COMMITS))
    _worked: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=64))
    _working_since: list[float] = field(default_factory=list)
    _looked_at: float = float("-inf")
    _decision: Decision = field(default_factory=Decision)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A step runs while the block does."""
        began = self.clock()
        self._working_since.append(began)
        try:
            yield
        finally:
            self._working_since.remove(began)
            self._worked.append((began, self.clock()))

    async def give_way(self, on_yield: Callable[[], Awaitable[None]]) -> bool:
        """Waits while ingest is slower than usual, at most LONGEST_YIELD; whether it did. `on_yield` is called once,
        when it begins to.
        """
        began, yielded = self.clock(), False
        while (pause := self._decision.take(*self.look())) > 0 and self.clock() - began < LONGEST_YIELD:
            if not yielded:
                yielded = True
                await on_yield()
            await self.sleep(pause)
        return yielded

    def look(self) -> tuple[float | None, float | None]:
        """p95 of what commits take as a rule, and of late; None where there were too few."""
        now = self.clock()
        recent: list[float] = []
        for ended, seconds in self.commits:
            if ended > self._looked_at and self._is_quiet(ended - seconds, ended):
                self._quiet.append(seconds)
            if ended > now - WINDOW_SECONDS:
                recent.append(seconds)
        self._looked_at = now
        return _p95_of(self._quiet, BASELINE_FEWEST), _p95_of(recent, FEWEST)

    def _is_quiet(self, began: float, ended: float) -> bool:
        """Whether no step ran beside a commit."""
        if any(since <= ended for since in self._working_since):
            return False
        return all(
            ended < worked_from or worked_until + AFTERMATH_SECONDS < began
            for worked_from, worked_until in self._worked
        )


def _p95_of(seconds: Sequence[float], fewest: int) -> float | None:
    return p95(seconds) if len(seconds) >= fewest else None
