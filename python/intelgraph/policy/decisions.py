"""Decides, without ever holding up the event loop for a stranger's rules."""

import logging
from typing import Final

from intelgraph._core import PolicyBundle, PolicyDecider, PolicyDecision, PolicyQuestion
from intelgraph.policy.expendable import ExpendableThreads, TooManyStuck

MOST_SECONDS: Final = 1.0
"""Ten times what the core gives a decision: more takes only a step that cannot be stopped."""

_log = logging.getLogger(__name__)


class Decisions:
    """The decisions of one process.

    What is remembered, and what the platform's bundle decides alone, is answered at once; what a tenant's own rules
    have to be evaluated for, from a thread.
    """

    def __init__(self, platform: PolicyBundle, threads: ExpendableThreads) -> None:
        self._decider = PolicyDecider(platform)
        self._threads = threads

    async def decide(self, tenant: str, question: PolicyQuestion) -> PolicyDecision:
        """The decision on a question of a caller of `tenant`. What fails is denied."""
        remembered = self._decider.recall(question)
        if remembered is not None:
            return remembered
        bundle, own = self._decider.bundle_of(tenant)
        if not own:
            return self._decider.decide(question)
        try:
            return await self._threads.run(lambda: self._decider.decide(question), MOST_SECONDS)
        except TimeoutError:
            # Once is enough: each further question would cost another thread.
            _log.error("the rules of tenant %s cannot be stopped, and deny from now on", tenant)
            if self._decider.bundle_of(tenant)[0].revision == bundle.revision:
                self._decider.install(tenant, bundle.closed(tenant))
        except TooManyStuck:
            _log.error("no thread can be spared for the rules of tenant %s", tenant)
            return PolicyDecider(bundle.closed(tenant)).decide(question)
        return self._decider.decide(question)

    def install(self, tenant: str, bundle: PolicyBundle | None) -> None:
        """Decides by `bundle` for a tenant from now on; None takes the platform's."""
        self._decider.install(tenant, bundle)

    def bundle_of(self, tenant: str) -> PolicyBundle:
        """The bundle that decides for a tenant."""
        return self._decider.bundle_of(tenant)[0]
