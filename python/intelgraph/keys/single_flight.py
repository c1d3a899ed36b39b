"""One piece of work at a time for each key: whoever wants the same meanwhile waits for it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from intelgraph.errors import IntelGraphError

_log = logging.getLogger(__name__)


class SingleFlight:
    """Runs work that callers share. A caller that gives up does not stop it; a failure is not remembered."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[None]] = {}

    async def join(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Waits for the work that runs for `key`, or for `work` if none does. Raises what it raises."""
        await asyncio.shield(self.start(key, work))

    def start(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, None]]) -> "asyncio.Task[None]":
        """The same without waiting."""
        running = self._running.get(key)
        if running is None:
            running = asyncio.create_task(work())
            self._running[key] = running
            running.add_done_callback(lambda done: self._land(key, done))
        return running

    async def close(self) -> None:
        """Cancels what runs."""
        running = [*self._running.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _land(self, key: Hashable, done: "asyncio.Task[None]") -> None:
        del self._running[key]
        error = None if done.cancelled() else done.exception()
        if error is not None and not isinstance(error, IntelGraphError):
            # Perhaps nobody waits for it.
            _log.error("shared work failed", exc_info=error)
