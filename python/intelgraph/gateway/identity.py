"""Who calls, as one value that the rest of the gateway asks."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Literal

from intelgraph.errors import PermissionDenied
from intelgraph.provenance.actor import Actor
from intelgraph.tenants.registry import Tenant


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller whose token or certificate holds, and whose tenant is served.

    `expires_at` is in seconds since the Unix epoch: of a token with the clock leeway, of a certificate its
    notAfter. `platform` says that the tenant is the one that administers the gateway, `machine` that no person
    stands behind the call, as far as the token or certificate tells.
    """

    tenant: Tenant
    subject: str
    roles: frozenset[str]
    expires_at: float
    method: Literal["jwt", "mtls"]
    platform: bool = False
    machine: bool = False

    @property
    def actor(self) -> Actor:
        """The caller, as entries of the ledger name it."""
        return Actor(self.subject, self.method)


current_identity: Final[ContextVar[Identity]] = ContextVar("current_identity")
"""The caller of the RPC that runs in this context. Set by the interceptor before a handler runs."""


def require_own_tenant(identity: Identity, named: str) -> None:
    """Refuses a request that names another tenant than the caller's; an empty name asks for no check.

    Raises PermissionDenied TENANT_MISMATCH.
    """
    if named and named != identity.tenant.name:
        raise PermissionDenied(
            "TENANT_MISMATCH",
            "the request names another tenant than the caller's identity",
            fix="leave the tenant out, or call with an identity of that tenant",
        )
