"""Decides, without ever holding up the event loop, or another tenant, for a stranger's rules."""

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from intelgraph._core import PolicyBundle, PolicyDecider, PolicyDecision, PolicyQuestion
from intelgraph.policy.expendable import ExpendableThreads, TooManyStuck
from intelgraph.policy.metrics import CLOSED

MOST_SECONDS: Final = 1.0
"""Ten times what the core gives a decision: more takes only a step that cannot be stopped."""
MOST_SLOW: Final = 3
"""Decisions of one revision that may run out of time within `SLOW_WINDOW_SECONDS`."""
SLOW_WINDOW_SECONDS: Final = 60.0
CLOSED_SECONDS: Final = 30.0
"""How long rules count as closed then. What they are tried again for is `MOST_SLOW` decisions at the most."""

_TOO_LONG: Final = "the tenant's rules take too long, and count as closed for a while"
_TOO_SLOW: Final = "too slow"
"""What the fault of a decision begins with that ran out of time."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Conduct:
    """How the rules of a tenant have behaved since they were installed."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    slow_at: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_SLOW))
    closed_until: float = 0.0
    closed: PolicyDecider | None = None
    """What decides while they are closed, once it was needed."""

    def is_closed(self) -> bool:
        """Whether they are closed now."""
        return time.monotonic() < self.closed_until

    def was_slow(self) -> bool:
        """Notes a decision that ran out of time; whether there were too many."""
        now = time.monotonic()
        self.slow_at.append(now)
        return len(self.slow_at) == MOST_SLOW and now - self.slow_at[0] < SLOW_WINDOW_SECONDS


class Decisions:
    """The decisions of one process.

    What is remembered, and what the platform's bundle decides alone, is answered at once; what a tenant's own rules
    have to be evaluated for, from a thread, and of each tenant one at a time. So slow rules hold up their own tenant,
    which is denied after a while without their being evaluated.
    """

    def __init__(self, platform: PolicyBundle, threads: ExpendableThreads) -> None:
        self._decider = PolicyDecider(platform)
        self._threads = threads
        self._conduct: dict[str, _Conduct] = {}
        self._deciding: set[asyncio.Task[PolicyDecision]] = set()

    async def decide(self, tenant: str, question: PolicyQuestion) -> PolicyDecision:
        """The decision on a question of a caller of `tenant`. What fails is denied."""
        remembered = self._decider.recall(question)
        if remembered is not None:
            return remembered
        if not self._decider.bundle_of(tenant)[1]:
            return self._decider.decide(question)
        # Of its own, so that a caller who goes away does not give up the turn while the thread still runs.
        deciding = asyncio.create_task(self._decide_in_turn(tenant, question), name="policy decision")
        self._deciding.add(deciding)
        deciding.add_done_callback(self._deciding.discard)
        return await asyncio.shield(deciding)

    def install(self, tenant: str, bundle: PolicyBundle | None) -> None:
        """Decides by `bundle` for a tenant from now on; None takes the platform's."""
        self._conduct.pop(tenant, None)
        self._decider.install(tenant, bundle)

    def bundle_of(self, tenant: str) -> PolicyBundle:
        """The bundle that decides for a tenant."""
        conduct = self._conduct.get(tenant)
        if conduct is not None and conduct.closed is not None and conduct.is_closed():
            return conduct.closed.bundle_of(tenant)[0]
        return self._decider.bundle_of(tenant)[0]

    async def _decide_in_turn(self, tenant: str, question: PolicyQuestion) -> PolicyDecision:
        conduct = self._conduct.setdefault(tenant, _Conduct())
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await conduct.turn.acquire()
        except TimeoutError:
            return await self._deny(tenant, conduct, question)
        try:
            if conduct.is_closed():
                return await self._deny(tenant, conduct, question)
            # Whoever had the turn before may have asked the same.
            return self._decider.recall(question) or await self._evaluate(tenant, conduct, question)
        finally:
            conduct.turn.release()

    async def _evaluate(self, tenant: str, conduct: _Conduct, question: PolicyQuestion) -> PolicyDecision:
        revision = self._decider.bundle_of(tenant)[0].revision
        try:
            decision = await self._threads.run(
                tenant, revision, lambda: self._decider.decide(question), MOST_SECONDS
            )
        except (TimeoutError, TooManyStuck):
            self._close(tenant, conduct, "stuck", "cannot be stopped")
            return await self._deny(tenant, conduct, question)
        if (decision.fault or "").startswith(_TOO_SLOW) and conduct.was_slow():
            self._close(tenant, conduct, "slow", "take too long again and again")
        return decision

    def _close(self, tenant: str, conduct: _Conduct, why: str, how: str) -> None:
        conduct.closed_until = time.monotonic() + CLOSED_SECONDS
        conduct.slow_at.clear()
        CLOSED.labels(why).inc()
        _log.error("the rules of tenant %s %s, and deny for %.0f s", tenant, how, CLOSED_SECONDS)

    async def _deny(self, tenant: str, conduct: _Conduct, question: PolicyQuestion) -> PolicyDecision:
        """What is decided where the tenant's rules are not evaluated: whatever they could deny is denied."""
        if conduct.closed is None:
            bundle, _ = self._decider.bundle_of(tenant)
            conduct.closed = PolicyDecider(await asyncio.to_thread(bundle.closed, tenant, _TOO_LONG))
        return conduct.closed.decide(question)
