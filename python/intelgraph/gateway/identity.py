"""Who calls, as one value that the rest of the gateway asks."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Literal

from intelgraph.provenance.actor import Actor
from intelgraph.tenants.registry import Tenant


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller whose token or certificate holds, and whose tenant is served.

    `expires_at` is in seconds since the Unix epoch: of a token with the clock leeway, of a certificate its
    notAfter. `platform` says that the tenant is the one that administers the gateway, `machine` that no person
    stands behind the call, as far as the token or certificate tells. `attributes` are what the issuer says of it
    besides; the gateway gives them to the policy and to nobody else.
    """

    tenant: Tenant
    subject: str
    roles: frozenset[str]
    expires_at: float
    method: Literal["jwt", "mtls"]
    platform: bool = False
    machine: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def actor(self) -> Actor:
        """The caller, as entries of the ledger name it."""
        return Actor(self.subject, self.method)


current_identity: Final[ContextVar[Identity]] = ContextVar("current_identity")
"""The caller of the RPC that runs in this context. Set by the interceptor before a handler runs."""
