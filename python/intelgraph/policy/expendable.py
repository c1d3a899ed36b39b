"""Threads that evaluate a stranger's rules, and that nobody has to wait for.

The core stops rules by the clock between two steps of the interpreter. A single step can be made to last: then the
thread goes on by itself, for nothing can stop it, and who asked is told that it takes too long.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

T = TypeVar("T")

MOST_STUCK: Final = 4
"""Threads that may go on by themselves: a core each, until the process ends."""


class TooManyStuck(Exception):
    """As many threads as may go on by themselves do so."""


class ExpendableThreads:
    """Runs calls, each on a thread of its own that does not keep the process from ending."""

    def __init__(self) -> None:
        self._stuck: list[threading.Thread] = []

    async def run(self, call: Callable[[], T], seconds: float) -> T:
        """What the call returns or raises. Raises TimeoutError after `seconds`, and TooManyStuck."""
        self._stuck = [thread for thread in self._stuck if thread.is_alive()]
        if len(self._stuck) >= MOST_STUCK:
            raise TooManyStuck
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: Exception | None) -> None:
            if outcome.done():
                return
            if error is not None:
                outcome.set_exception(error)
            else:
                outcome.set_result(result)  # type: ignore[arg-type] # without an error there is a result

        def work() -> None:
            result, failure = None, None
            try:
                result = call()
            except Exception as error:
                failure = error
            with suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(settle, result, failure)

        thread = threading.Thread(target=work, name="policy", daemon=True)
        thread.start()
        try:
            async with asyncio.timeout(seconds):
                return await outcome
        except TimeoutError:
            self._stuck.append(thread)
            raise
