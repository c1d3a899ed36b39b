"""Who may do what: roles to permissions, in one table, and the one function that decides."""

from collections.abc import Mapping
from typing import Final

from intelgraph.errors import PermissionDenied
from intelgraph.gateway.identity import Identity

ROLES: Final[Mapping[str, frozenset[str]]] = {
    "connector": frozenset({"ingest.write", "contract.read", "ledger.prove"}),
    "service": frozenset(
        {"envelope.encrypt", "envelope.decrypt", "entity.read", "contract.read", "ledger.prove"}
    ),
    "analyst": frozenset({"entity.read", "changes.read", "contract.read", "ledger.prove"}),
    "security-officer": frozenset(
        {
            "tenant.read",
            "quarantine.read",
            "contract.read",
            "operation.read",
            "operation.cancel",
            "ledger.read",
            "ledger.prove",
            "ledger.erase",
            "approval.request",
            "approval.read",
            "approval.approve",
        }
    ),
    "auditor": frozenset(
        {
            "tenant.read",
            "quarantine.read",
            "contract.read",
            "entity.read",
            "changes.read",
            "operation.read",
            "metrics.read",
            "ledger.read",
            "ledger.prove",
            "approval.read",
        }
    ),
    "operator": frozenset(
        {
            "tenant.read",
            "tenant.write",
            "contract.read",
            "contract.write",
            "quarantine.read",
            "operation.read",
            "operation.cancel",
            "retention.run",
            "metrics.read",
            "channelz.read",
            "ledger.read",
            "ledger.prove",
            "ledger.cosign",
            "approval.request",
            "approval.read",
        }
    ),
}

APPROVE_AS_MACHINE: Final = "approval.approve_as_machine"
"""Without it a machine decides on no approval. No role holds it by default."""

ACROSS_TENANTS: Final = frozenset(
    {"tenant.read", "tenant.write", "channelz.read", "metrics.read", "ledger.cosign", "ledger.erase"}
)
"""Permissions whose use shows or changes what is not the caller's tenant's: the platform tenant's only."""


def decide(identity: Identity, permission: str) -> None:
    """Returns if a role of the identity grants the permission; a role that is not in the table grants none.

    Raises PermissionDenied PERMISSION_DENIED, which names the permission and the roles that grant it, and
    PLATFORM_TENANT_ONLY.
    """
    if not any(permission in ROLES.get(role, ()) for role in identity.roles):
        granting = sorted(role for role, permissions in ROLES.items() if permission in permissions)
        raise PermissionDenied(
            "PERMISSION_DENIED",
            f"{identity.subject} does not hold the permission {permission}",
            fix=f"ask for one of the roles that grant it: {', '.join(granting) or 'there is none'}",
            metadata={"permission": permission},
        )
    if permission in ACROSS_TENANTS and not identity.platform:
        raise PermissionDenied(
            "PLATFORM_TENANT_ONLY",
            f"the permission {permission} reaches across tenants and is kept for the platform tenant",
            fix="call with an identity of the tenant in the gateway's setting platform_tenant",
            metadata={"permission": permission},
        )
