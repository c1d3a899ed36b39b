"""Threads that evaluate a stranger's rules, and that nobody has to wait for.

The core stops rules by the clock between two steps of the interpreter. A single step can be made to last: then the
thread goes on by itself, for nothing can stop it, and who asked is told that it takes too long.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

T = TypeVar("T")

MOST_STUCK_EACH: Final = 4
"""Threads of one tenant that may go on by themselves, each of other rules: who mends them is not shut out at once."""
MOST_STUCK: Final = 16
"""Threads of all tenants that may."""
_LEAST_PRIORITY: Final = 19


class TooManyStuck(Exception):
    """As many threads as may go on by themselves do so."""


@dataclass(frozen=True, slots=True)
class _Stuck:
    tenant: str
    revision: str
    thread: threading.Thread


class ExpendableThreads:
    """Runs calls, each on a thread of its own that does not keep the process from ending.

    A tenant whose threads go on by themselves takes its own share, and not the others'. A thread that comes to its end
    after all gives its place back.
    """

    def __init__(self) -> None:
        self._stuck: list[_Stuck] = []

    async def run(self, tenant: str, revision: str, call: Callable[[], T], seconds: float) -> T:
        """What the call, which evaluates these rules, returns or raises. Raises TimeoutError after `seconds`, and
        TooManyStuck, also where the very rules are evaluated by a thread that goes on by itself.
        """
        self._refuse_too_many(tenant, revision)
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
        finally:
            # Also where who asked went away: the thread goes on all the same.
            if not outcome.done() or outcome.cancelled():
                self._stuck.append(_Stuck(tenant, revision, thread))
                _lower(thread)

    def _refuse_too_many(self, tenant: str, revision: str) -> None:
        self._stuck = [each for each in self._stuck if each.thread.is_alive()]
        own = [each.revision for each in self._stuck if each.tenant == tenant]
        if revision in own or len(own) >= MOST_STUCK_EACH or len(self._stuck) >= MOST_STUCK:
            raise TooManyStuck


def _lower(thread: threading.Thread) -> None:
    """Leaves the thread what nobody else wants to compute. Only Linux has a priority for each thread."""
    if sys.platform == "linux" and thread.native_id is not None:
        with suppress(OSError):  # it may have ended by now
            os.setpriority(os.PRIO_PROCESS, thread.native_id, _LEAST_PRIORITY)
