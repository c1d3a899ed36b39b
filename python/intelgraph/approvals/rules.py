"""The rules of dual control, without I/O: what each transition needs, and where it leads.

    requested ──approve, quorum reached──▶ approved ──use──▶ used
        │  └────────────────┐                 │
        ├──deny─────────────┼────deny─────────┤──▶ denied
        ├──withdraw─────────┼────withdraw─────┤──▶ withdrawn
        └──expires_at───────┴────expires_at───┘──▶ expired

- The requester never counts: neither an approval nor a denial of its own request is taken.
- One person counts once; names that look alike are one person's (`intelgraph.person`). An approver has to hold the
  role of the quorum at that moment.
- One denial ends it, also after the quorum was reached, until the act happened. Who approved may still deny.
- Only the requester withdraws.
- At `expires_at` it is over, approved or not. The time is the database's, read under the lock of the row.

Each function takes an approval that its caller holds locked, and raises where the rules say no.
"""

from datetime import datetime

from intelgraph.approvals.approval import OPEN, Approval, ApprovalState, Caller
from intelgraph.errors import AlreadyExists, FailedPrecondition, PermissionDenied
from intelgraph.person import person_of


def approved(approval: Approval, caller: Caller, at: datetime) -> ApprovalState:
    """The state after the caller has approved."""
    _require_open(approval, at)
    _require_approver(approval, caller)
    if caller.person in approval.approvers:
        raise AlreadyExists(
            "APPROVAL_ALREADY_GIVEN",
            f"{caller.name} has approved it already, and counts once",
            fix=f"have others approve: {approval.missing} more must"
            if approval.missing
            else "nothing more is needed",
        )
    if approval.state is ApprovalState.APPROVED:
        raise FailedPrecondition(
            "APPROVAL_COMPLETE",
            "as many persons as are needed have approved it",
            fix="nothing more is needed; deny it if it must not happen",
        )
    return ApprovalState.REQUESTED if approval.missing > 1 else ApprovalState.APPROVED


def denied(approval: Approval, caller: Caller, at: datetime) -> ApprovalState:
    """The state after the caller has denied."""
    _require_open(approval, at)
    _require_approver(approval, caller)
    return ApprovalState.DENIED


def withdrawn(approval: Approval, caller: Caller, at: datetime) -> ApprovalState:
    """The state after the caller has taken it back."""
    _require_open(approval, at)
    if caller.person != approval.requester:
        raise PermissionDenied(
            "APPROVAL_OF_ANOTHER",
            "only who asked for it can take it back",
            fix=f"ask {approval.requested_by}, or deny it",
        )
    return ApprovalState.WITHDRAWN


def used(approval: Approval, at: datetime, *, kind: str, platform: bool, digest: bytes) -> ApprovalState:
    """The state after the act whose plan has this digest.

    Raises FailedPrecondition APPROVAL_OF_ANOTHER_PLAN, APPROVAL_USED, APPROVAL_EXPIRED or
    APPROVAL_NOT_APPROVED.
    """
    if (approval.kind, approval.platform, approval.digest) != (kind, platform, digest):
        raise another_plan(approval, digest)
    if approval.state in OPEN and has_expired(approval, at):
        raise expired()
    if approval.state is not ApprovalState.APPROVED:
        raise _not_approved(approval)
    return ApprovalState.USED


def require_same_act(approval: Approval, *, kind: str, platform: bool) -> None:
    """Raises FailedPrecondition APPROVAL_OF_ANOTHER_PLAN for a request that cannot be superseded by one of `kind`."""
    if (approval.kind, approval.platform) != (kind, platform):
        raise FailedPrecondition(
            "APPROVAL_OF_ANOTHER_PLAN",
            f"what it is to supersede is a request for another act: {approval.kind}",
            fix="withdraw that one, and ask without superseding",
        )


def another_plan(approval: Approval, digest: bytes) -> FailedPrecondition:
    """The refusal of a plan that is not the one of the approval."""
    return FailedPrecondition(
        "APPROVAL_OF_ANOTHER_PLAN",
        "what is to happen is not what the approval is for",
        fix="see what it is for with `intelgraph approvals show`; ask for another where the plan was changed",
        metadata={"digest": digest.hex(), "approval_digest": approval.digest.hex()},
    )


def awaits(approval: Approval, caller: Caller) -> bool:
    """Whether an open request waits for the caller to decide, who holds its role."""
    said = {person_of(decision.approver) for decision in approval.decisions}
    return caller.person not in said | {approval.requester}


def has_expired(approval: Approval, at: datetime) -> bool:
    """Whether its time is over at `at`, whatever its state."""
    return at >= approval.expires_at


def _require_open(approval: Approval, at: datetime) -> None:
    if approval.state in OPEN and has_expired(approval, at):
        raise expired()
    if approval.state not in OPEN:
        raise _over(approval)


def _require_approver(approval: Approval, caller: Caller) -> None:
    if caller.person == approval.requester:
        raise PermissionDenied(
            "APPROVAL_OWN_REQUEST",
            f"{caller.name} asked for it, and never counts",
            fix="have another person decide, or withdraw it",
        )
    if approval.role not in caller.roles:
        raise PermissionDenied(
            "APPROVAL_ROLE_MISSING",
            f"it takes holders of the role {approval.role} to decide",
            fix="have somebody decide who holds it",
            metadata={"role": approval.role},
        )


def _not_approved(approval: Approval) -> FailedPrecondition:
    match approval.state:
        case ApprovalState.REQUESTED:
            message = f"the approval still needs {approval.missing} more of the role {approval.role}"
            fix = f"have them decide; `intelgraph approvals show {approval.approval_id}` tells what they need"
        case ApprovalState.DENIED | ApprovalState.WITHDRAWN:
            message = f"the approval was {approval.state.value}"
            fix = "ask for another approval, if it is still to happen"
        case _:
            return _over(approval)
    return FailedPrecondition(
        "APPROVAL_NOT_APPROVED", message, fix=fix, metadata={"state": approval.state.value}
    )


def _over(approval: Approval) -> FailedPrecondition:
    """Why nothing can be decided on it any more."""
    match approval.state:
        case ApprovalState.EXPIRED:
            return expired()
        case ApprovalState.USED:
            return FailedPrecondition(
                "APPROVAL_USED", "the approval was used, and holds once", fix="ask for another approval"
            )
        case _:
            return FailedPrecondition(
                "APPROVAL_SETTLED",
                f"the approval was {approval.state.value}",
                fix="ask for another approval, if it is still to happen",
                metadata={"state": approval.state.value},
            )


def expired() -> FailedPrecondition:
    """The refusal of what comes too late."""
    return FailedPrecondition(
        "APPROVAL_EXPIRED",
        "the time of the approval is over",
        fix="ask for another approval; --expires says for how long it holds",
    )
