"""Who may do what: roles to permissions, in one table, and the one function that decides."""

from collections.abc import Mapping
from typing import Final

from intelgraph.errors import PermissionDenied
from intelgraph.gateway.identity import Identity

ROLES: Final[Mapping[str, frozenset[str]]] = {
    "connector": frozenset({"ingest.write", "contract.read"}),
    "service": frozenset({"envelope.encrypt", "envelope.decrypt", "entity.read", "contract.read"}),
    "analyst": frozenset({"entity.read", "changes.read", "contract.read"}),
    "security-officer": frozenset({"tenant.read", "quarantine.read", "contract.read"}),
    "auditor": frozenset(
        {"tenant.read", "quarantine.read", "contract.read", "entity.read", "changes.read", "metrics.read"}
    ),
    "operator": frozenset(
        {
            "tenant.read",
            "tenant.write",
            "contract.read",
            "contract.write",
            "quarantine.read",
            "metrics.read",
            "channelz.read",
        }
    ),
}


def decide(identity: Identity, permission: str) -> None:
    """Returns if a role of the identity grants the permission; a role that is not in the table grants none.

    Raises PermissionDenied PERMISSION_DENIED, which names the permission and the roles that grant it.
    """
    if any(permission in ROLES.get(role, ()) for role in identity.roles):
        return
    granting = sorted(role for role, permissions in ROLES.items() if permission in permissions)
    raise PermissionDenied(
        "PERMISSION_DENIED",
        f"{identity.subject} does not hold the permission {permission}",
        fix=f"ask the tenant's administrator for one of the roles: {', '.join(granting) or 'none grants it'}",
        metadata={"permission": permission},
    )
