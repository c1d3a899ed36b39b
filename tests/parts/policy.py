"""Permission decisions without a database: the platform's bundle, and the rules that a test installs."""

from intelgraph.gateway.identity import Identity, current_identity
from intelgraph.gateway.permissions import Access, Permissions, current_access
from intelgraph.policy.decisions import Decisions
from intelgraph.policy.expendable import ExpendableThreads
from intelgraph.policy.platform import platform_bundle


class RulesOfNow:
    """Rules that are in force as they stand."""

    async def fresh(self) -> None:
        """See `RulesInForce`."""


def make_permissions() -> Permissions:
    """Decides by the platform's bundle."""
    return Permissions(Decisions(platform_bundle(), ExpendableThreads()), RulesOfNow())


def let_in(identity: Identity, permission: str) -> None:
    """What the interceptor leaves to a handler that it lets in."""
    current_identity.set(identity)
    current_access.set(Access(make_permissions(), identity, permission))
