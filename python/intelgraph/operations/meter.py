"""How fast an operation is, of late."""

import time
from collections.abc import Callable
from typing import Final

HALF_LIFE_SECONDS: Final = 10.0
"""After so long what was measured counts half."""


class Meter:
    """Units a second, from what is done at each step."""

    def __init__(self, rate: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        """`rate` is what another holder measured last; 0 before the first."""
        self._rate = rate
        self._clock = clock
        self._last: tuple[float, int] | None = None

    def rate(self, done: int) -> float:
        """The rate once so much is done."""
        now = self._clock()
        last, self._last = self._last, (now, done)
        if last is not None and (seconds := now - last[0]) > 0:
            measured = max(0, done - last[1]) / seconds
            weight = 0.5 ** (seconds / HALF_LIFE_SECONDS) if self._rate else 0.0
            self._rate = weight * self._rate + (1 - weight) * measured
        return self._rate
