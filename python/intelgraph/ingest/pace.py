"""Records per second: what a tenant's streams may hand on, averaged over a second.

The bucket leaks at the rate and holds what one second of it is. Streams wait in turn. The rate may change while they
wait, and is theirs at once.
"""

from __future__ import annotations

import asyncio
import contextlib


class Pace:
    """Holds records to a rate."""

    def __init__(self, rate: int) -> None:
        """`rate` is in records per second; 0 means no limit."""
        self._rate = rate
        self._taken = 0.0
        """Records that went in the last second, as far as they have not leaked."""
        self._counted_at = 0.0
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    def set_rate(self, rate: int) -> None:
        """Changes the rate. What went in the last second counts as one second's worth of the new one at most."""
        if rate != self._rate:
            self._leak()
            self._rate = rate
            self._taken = min(self._taken, rate)
            self._changed.set()

    async def take(self, records: int) -> None:
        """Waits until `records` more are within the rate. Those above it take several seconds' worth."""
        if not self._rate:
            return
        async with self._turn:
            while records and self._rate:
                self._leak()
                part = min(records, self._rate)
                excess = self._taken + part - self._rate
                if excess > 0:
                    await self._wait(excess / self._rate)
                    continue
                self._taken += part
                records -= part

    async def _wait(self, seconds: float) -> None:
        """Until so many seconds are over, or the rate changes."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _leak(self) -> None:
        now = asyncio.get_running_loop().time()
        self._taken = max(0.0, self._taken - (now - self._counted_at) * self._rate)
        self._counted_at = now
