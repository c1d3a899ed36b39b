"""Waiting for a condition over state that one event loop changes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Signal:
    """Wakes everyone who waits whenever something has changed; each looks whether it concerns them."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def changed(self) -> None:
        """Something has changed."""
        self._event.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns once the condition holds."""
        while not condition():
            await self.next_change()

    async def next_change(self) -> None:
        """Returns after the next change."""
        self._event.clear()
        await self._event.wait()
