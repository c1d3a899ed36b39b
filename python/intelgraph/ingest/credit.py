"""Bytes in flight: what was received and is not yet answered, bounded per stream, per tenant and per process.

A stream that has used its credit is not read from; HTTP/2 flow control then holds the connector back. So nothing is
buffered without bound, and a connector that ignores its credit only waits longer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class ByteBudget:
    """A number of bytes that waiters take in turn."""

    def __init__(self, limit: int, on_used: Callable[[int], None] = lambda used: None) -> None:
        """`on_used` is told how many bytes are taken whenever that changes."""
        self._limit = limit
        self._on_used = on_used
        self._used = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def used(self) -> int:
        """Bytes taken and not given back."""
        return self._used

    @property
    def limit(self) -> int:
        """Bytes that may be taken."""
        return self._limit

    def set_limit(self, limit: int) -> None:
        """Changes the limit; what is taken stays taken."""
        self._limit = limit
        self._wake()

    async def take(self, size: int) -> None:
        """Takes `size` bytes, waiting for its turn. One that is larger than the limit goes when it is alone."""
        if not self._waiters and self._fits(size):
            self._use(size)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (size, turn)
        self._waiters.append(waiter)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(size)
            else:
                self._waiters.remove(waiter)
                self._wake()
            raise

    def give_back(self, size: int) -> None:
        """Gives back what was taken."""
        self._use(-size)
        self._wake()

    def _use(self, size: int) -> None:
        self._used += size
        self._on_used(self._used)

    def _fits(self, size: int) -> bool:
        return self._used == 0 or self._used + size <= self._limit

    def _wake(self) -> None:
        while self._waiters and self._fits(self._waiters[0][0]):
            size, turn = self._waiters.popleft()
            if not turn.done():
                self._use(size)
                turn.set_result(None)
