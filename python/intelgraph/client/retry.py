"""How long a client puts up with a gateway that is away, and how it spaces its attempts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import tenacity

if TYPE_CHECKING:
    from intelgraph.errors import IntelGraphError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Waits grow exponentially with full jitter up to `longest_wait` seconds, and last at least as long as
    the gateway asks for. After `give_up_after` seconds without any progress the error is raised.
    """

    give_up_after: float = 120.0
    longest_wait: float = 5.0


class Patience:
    """Waits between attempts that follow each other without progress."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._wait = tenacity.wait_random_exponential(multiplier=0.1, max=policy.longest_wait, min=0.05)
        self._stop = tenacity.stop_after_delay(policy.give_up_after)
        self._attempts: tenacity.RetryCallState | None = None

    def restore(self) -> None:
        """Progress was made: the next failure is a first one."""
        self._attempts = None

    async def wait(self, error: IntelGraphError) -> None:
        """Returns when to try again. Raises the error once patience is at its end."""
        if self._attempts is None:
            self._attempts = tenacity.RetryCallState(tenacity.AsyncRetrying(), None, (), {})
        attempts = self._attempts
        attempts.set_exception((type(error), error, error.__traceback__))
        if self._stop(attempts):
            raise error
        delay = self._wait(attempts)
        attempts.prepare_for_next_attempt()
        await asyncio.sleep(max(delay, error.retry_after or 0.0))
