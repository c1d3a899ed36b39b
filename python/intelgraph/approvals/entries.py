"""What the ledger is told of approvals: the facts of each transition, and whose act it was.

While the ledger is forked it takes no entry, and yet an approval is what lets it go on: a kind with
`while_forked` can be asked for and approved then. Its entries are owed (`Approval.owed`), and are written all
together when it is used, which ends the fork in the same transaction, or voided by what ends it.
"""

from typing import TYPE_CHECKING
from uuid import UUID

from intelgraph.approvals.approval import Approval, ApprovalState, Decision, to_us
from intelgraph.provenance.actor import Actor
from intelgraph.provenance.kinds.approvals import (
    ApprovalDenied,
    ApprovalExpired,
    ApprovalGiven,
    ApprovalRequested,
    ApprovalUsed,
    ApprovalVoided,
    ApprovalWithdrawn,
)
from intelgraph.provenance.ledger import Act

if TYPE_CHECKING:
    from intelgraph.provenance.facts import Facts


def requested(approval: Approval, supersedes: UUID | None) -> Act:
    """Somebody asked for it."""
    facts = ApprovalRequested(
        approval_id=str(approval.approval_id),
        act=approval.kind,
        digest=approval.digest.hex(),
        platform=approval.platform,
        role=approval.role,
        quorum=approval.quorum,
        reason=approval.reason,
        ticket=approval.ticket,
        expires_us=to_us(approval.expires_at),
        supersedes=_text(supersedes),
    )
    return _act(approval, facts, Actor(approval.requested_by, approval.requested_method))


def given(approval: Approval, decision: Decision, approvals: int) -> Act:
    """A person approved, as so many have with it."""
    facts = ApprovalGiven(
        approval_id=str(approval.approval_id),
        act=approval.kind,
        digest=approval.digest.hex(),
        approvals=approvals,
        quorum=approval.quorum,
        machine=decision.machine,
        key_id=_key_id(decision),
    )
    return _act(approval, facts, Actor(decision.approver, decision.method))


def denied(approval: Approval, decision: Decision) -> Act:
    """A person denied."""
    facts = ApprovalDenied(
        approval_id=str(approval.approval_id),
        act=approval.kind,
        digest=approval.digest.hex(),
        reason=decision.reason,
        machine=decision.machine,
        key_id=_key_id(decision),
    )
    return _act(approval, facts, Actor(decision.approver, decision.method))


def withdrawn(approval: Approval, by: Actor, superseded_by: UUID | None) -> Act:
    """The requester took it back."""
    facts = ApprovalWithdrawn(
        approval_id=str(approval.approval_id),
        act=approval.kind,
        digest=approval.digest.hex(),
        superseded_by=_text(superseded_by),
    )
    return _act(approval, facts, by)


def expired(approval: Approval, by: Actor) -> Act:
    """Its time was over."""
    facts = ApprovalExpired(
        approval_id=str(approval.approval_id),
        act=approval.kind,
        digest=approval.digest.hex(),
        was_approved=approval.state is ApprovalState.APPROVED,
    )
    return _act(approval, facts, by)


def used(approval: Approval, by: Actor) -> list[Act]:
    """The act happened; and all that is owed."""
    facts = ApprovalUsed(
        approval_id=str(approval.approval_id), act=approval.kind, digest=approval.digest.hex()
    )
    return [*_owed(approval), _act(approval, facts, by)]


def voided(approval: Approval, by: Actor) -> list[Act]:
    """It was brought back by a restore, and holds no more; and all that is owed."""
    facts = ApprovalVoided(
        approval_id=str(approval.approval_id),
        act=approval.kind,
        digest=approval.digest.hex(),
        was_approved=approval.state is ApprovalState.APPROVED,
    )
    return [*_owed(approval), _act(approval, facts, by)]


def _owed(approval: Approval) -> list[Act]:
    if not approval.owed:
        return []
    said = [decision for decision in approval.decisions if decision.word == "approve"]
    return [requested(approval, None), *(given(approval, each, n) for n, each in enumerate(said, start=1))]


def _act(approval: Approval, facts: "Facts", by: Actor) -> Act:
    tenant = None if approval.platform else approval.owner
    return Act(facts, f"approval:{approval.approval_id}", by, tenant)


def _key_id(decision: Decision) -> str | None:
    return decision.signature.key_id.hex() if decision.signature is not None else None


def _text(identifier: UUID | None) -> str | None:
    return str(identifier) if identifier is not None else None
