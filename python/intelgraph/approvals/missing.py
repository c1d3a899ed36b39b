"""The refusal of an act that takes an approval and names none: it says which, and how to ask for it."""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from intelgraph.approvals.document import PlanDocument
from intelgraph.errors import FailedPrecondition

if TYPE_CHECKING:
    from intelgraph.tenants.registry import Tenant


def approval_missing(kind: str, tenant: "Tenant", plan: Mapping[str, Any], what: str) -> FailedPrecondition:
    """FailedPrecondition APPROVAL_MISSING for an act of the tenant; `what` says what it is that takes the approval."""
    bound = PlanDocument.of(plan)
    written = bound.content.decode()
    return FailedPrecondition(
        "APPROVAL_MISSING",
        f"{what}, and takes an approval of the kind {kind}",
        fix=f"intelgraph --tenant {tenant.name} approvals request {kind} --reason WHY --document"
        f" {shlex.quote(written)}, and once it is approved do the same with --approval ID",
        metadata={"kind": kind, "digest": bound.digest.hex(), "document": written, "platform": "false"},
    )
