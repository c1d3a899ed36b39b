"""The one permission decision: asks the policy, and puts a denial into words.

A denial says which permission was missing, whatever denied it: a role that is not there, a rule of the tenant, one that
failed. Why is in the log, and `intelgraph policy explain` tells it to those who hold `policy.read`.
"""

import logging
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from intelgraph._core import PolicyQuestion
from intelgraph.errors import PermissionDenied

if TYPE_CHECKING:
    from intelgraph._core import PolicyDecision
    from intelgraph.gateway.identity import Identity
    from intelgraph.policy.decisions import Decisions

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Resource:
    """What a request names; None where it names none."""

    tenant: str | None = None
    dataset: str | None = None


NOTHING: Final = Resource()


class RulesInForce(Protocol):
    """Knows whether decisions are made by what is in force."""

    async def fresh(self) -> None:
        """Returns if they are. Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """Decides for the callers of one process."""

    decisions: "Decisions"
    rules: RulesInForce

    async def require(self, identity: "Identity", permission: str, resource: Resource = NOTHING) -> None:
        """Returns if the caller may.

        Raises PermissionDenied PERMISSION_DENIED, PLATFORM_TENANT_ONLY or TENANT_MISMATCH, and Unavailable
        POLICY_UNAVAILABLE.
        """
        await self.rules.fresh()
        decision = await self.decisions.decide(identity.tenant.name, question(identity, permission, resource))
        if not decision.allow:
            raise _denial(identity, permission, decision)


def question(identity: "Identity", permission: str, resource: Resource = NOTHING) -> PolicyQuestion:
    """What the policy is asked."""
    return PolicyQuestion(
        permission,
        tenant=identity.tenant.name,
        subject=identity.subject,
        roles=identity.roles,
        attributes=identity.attributes,
        machine=identity.machine,
        platform=identity.platform,
        resource_tenant=resource.tenant,
        dataset=resource.dataset,
    )


def _denial(identity: "Identity", permission: str, decision: "PolicyDecision") -> PermissionDenied:
    facts = {"permission": permission, "why": decision.reason, "revision": decision.revision}
    if decision.fault is not None:
        _log.error("a rule failed, and denies", extra=facts | {"fault": decision.fault})
    else:
        _log.info("denied by the policy", extra=facts)
    match decision.reason:
        case "PLATFORM_TENANT_ONLY":
            return PermissionDenied(
                "PLATFORM_TENANT_ONLY",
                f"the permission {permission} reaches across tenants and is kept for the platform tenant",
                fix="call with an identity of the tenant in the gateway's setting platform_tenant",
                metadata={"permission": permission},
            )
        case "TENANT_MISMATCH":
            return PermissionDenied(
                "TENANT_MISMATCH",
                "the request names another tenant than the caller's identity",
                fix="leave the tenant out, or call with an identity of that tenant",
            )
    return PermissionDenied(
        "PERMISSION_DENIED",
        f"{identity.subject} does not hold the permission {permission}",
        fix="ask your security officer for a role that grants it; `intelgraph policy explain` tells those who hold"
        " policy.read what denies it",
        metadata={"permission": permission},
    )


@dataclass(frozen=True, slots=True)
class Access:
    """A call that was let in: what it needs, and who decides."""

    permissions: Permissions
    identity: "Identity"
    permission: str


current_access: Final[ContextVar[Access]] = ContextVar("current_access")
"""Of the RPC that runs in this context. Set by the interceptor before a handler runs."""


async def require_also(permission: str) -> None:
    """Decides on a further permission, which only some callers of the method need. Raises as `Permissions.require`."""
    access = current_access.get()
    await access.permissions.require(access.identity, permission)


async def require_named(tenant: str = "", dataset: str = "") -> None:
    """Decides once more, on what the request names; empty names nothing. For handlers that parse requests themselves.

    Raises as `Permissions.require`.
    """
    if tenant or dataset:
        access = current_access.get()
        resource = Resource(tenant or None, dataset or None)
        await access.permissions.require(access.identity, access.permission, resource)
