"""Leaves a KMS alone that does not answer, and finds out soon when it does again.

The rule is failures within a time, and a wait that grows; see docs/decisions/0004-keys-service.md.
"""

import random
import time
from collections import deque
from collections.abc import Callable
from typing import Final

FAILURES: Final = 5
WINDOW_SECONDS: Final = 30.0
SHORTEST_WAIT_SECONDS: Final = 0.1
LONGEST_WAIT_SECONDS: Final = 2.0

_random = random.SystemRandom()


class Breaker:
    """Opens at 5 failures within 30 s. Then one call is let through after 100 ms, and after each that fails
    the wait doubles, to 2 s at most; half of it is drawn at random, so that gateways do not probe together.
    The first call that succeeds closes it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is in seconds and never goes back."""
        self._clock = clock
        self._failed_at: deque[float] = deque(maxlen=FAILURES)
        self._wait = SHORTEST_WAIT_SECONDS
        self._opens_at: float | None = None

    def seconds_to_wait(self) -> float:
        """0 if a call may be made now; it is then to be followed by `succeeded` or `failed`."""
        if self._opens_at is None:
            return 0.0
        now = self._clock()
        if now < self._opens_at:
            return self._opens_at - now
        # The next probe, should this one never report.
        self._opens_at = now + LONGEST_WAIT_SECONDS
        return 0.0

    def succeeded(self) -> None:
        """The KMS answered, whatever it said."""
        if self._opens_at is not None:
            self._opens_at = None
            self._wait = SHORTEST_WAIT_SECONDS
            self._failed_at.clear()

    def failed(self) -> None:
        """The KMS did not answer, or asked to be left alone."""
        now = self._clock()
        self._failed_at.append(now)
        if self._opens_at is not None:
            self._wait = min(2 * self._wait, LONGEST_WAIT_SECONDS)
        elif len(self._failed_at) < FAILURES or now - self._failed_at[0] > WINDOW_SECONDS:
            return
        self._opens_at = now + self._wait * _random.uniform(0.5, 1.0)
