"""What somebody asks for, checked: of a known kind, with its document, for the people who may decide it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from intelgraph.approvals.document import PlanDocument
from intelgraph.approvals.kinds import ApprovalKind, Scope, is_line, kind_of
from intelgraph.approvals.store import NewApproval
from intelgraph.errors import FieldViolation, InvalidArgument, PermissionDenied
from intelgraph.policy.platform import granted_by

if TYPE_CHECKING:
    from intelgraph.provenance.actor import Actor
    from intelgraph.tenants.registry import Tenant

MOST_QUORUM: Final = 16
SHORTEST: Final = timedelta(seconds=1)
LONGEST: Final = timedelta(days=30)
DEFAULT_LIFETIME: Final = timedelta(days=1)
LONGEST_REASON: Final = 2_000
LONGEST_TICKET: Final = 200
_DECIDES: Final = "approval.approve"
"""The permission to approve: of other roles than those that hold it nobody could."""
_LINE_RULE: Final = f"must be one line of printable text, of at most {LONGEST_REASON} characters"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks for.

    `platform` asks for an act that concerns the platform as a whole. `role` may be empty and `quorum` 0 where
    those of the kind will do. `lifetime` counts from the database's time. `supersedes` is an open request of the
    same person, for an act of the same kind, that this one takes the place of.
    """

    kind: str
    document: bytes
    reason: str
    ticket: str = ""
    role: str = ""
    quorum: int = 0
    lifetime: timedelta = DEFAULT_LIFETIME
    platform: bool = False
    supersedes: UUID | None = None


def checked_request(tenant: "Tenant", platform: "Tenant", wanted: Wanted, by: "Actor") -> NewApproval:
    """The row of a request that may be made.

    Raises InvalidArgument APPROVAL_KIND_UNKNOWN, APPROVAL_DOCUMENT_INVALID, APPROVAL_DOCUMENT_UNFIT or
    APPROVAL_REQUEST_INVALID, and PermissionDenied PLATFORM_TENANT_ONLY.
    """
    kind = kind_of(wanted.kind)
    document = PlanDocument.read(wanted.document)
    kind.check(document.members())
    kind.check_for(document.members(), None if wanted.platform else tenant.name)
    deciders = granted_by()[_DECIDES]
    role, quorum = wanted.role or kind.role or "", wanted.quorum or kind.quorum
    violations = tuple(
        FieldViolation(f"/{field}", rule)
        for field, holds, rule in (
            (
                "reason",
                is_line(wanted.reason) and len(wanted.reason) <= LONGEST_REASON,
                _LINE_RULE,
            ),
            (
                "ticket",
                not wanted.ticket or (is_line(wanted.ticket) and len(wanted.ticket) <= LONGEST_TICKET),
                f"must be one line of printable text, of at most {LONGEST_TICKET} characters",
            ),
            (
                "role",
                role in deciders and kind.role in {None, role},
                f"must be {kind.role}, for this kind"
                if kind.role
                else f"must be one that can approve: {', '.join(sorted(deciders))}",
            ),
            (
                "quorum",
                kind.quorum <= quorum <= MOST_QUORUM,
                f"must be from {kind.quorum}, for this kind, to {MOST_QUORUM}",
            ),
            ("expires_in", SHORTEST <= wanted.lifetime <= LONGEST, "must be from 1 second to 30 days"),
            ("platform", _fits(kind, platform=wanted.platform), _scope_rule(kind)),
        )
        if not holds
    )
    if violations:
        raise _invalid(violations)
    if wanted.platform and tenant.tenant_id != platform.tenant_id:
        raise PermissionDenied(
            "PLATFORM_TENANT_ONLY",
            "an act that concerns the platform as a whole is asked for and approved in the platform tenant",
            fix="call with an identity of the tenant in the gateway's setting platform_tenant",
        )
    return NewApproval(
        approval_id=uuid4(),
        tenant_id=tenant.tenant_id,
        platform=wanted.platform,
        kind=kind.name,
        document=document.content,
        digest=document.digest,
        reason=wanted.reason,
        ticket=wanted.ticket,
        role=role,
        quorum=quorum,
        requested_by=by.subject,
        requested_method=by.method,
        lifetime=wanted.lifetime,
        while_forked=kind.while_forked,
    )


def require_line(field: str, text: str, *, optional: bool) -> None:
    """Raises InvalidArgument APPROVAL_REQUEST_INVALID unless the text can be shown as it is, in one line."""
    if (optional and not text) or (is_line(text) and len(text) <= LONGEST_REASON):
        return
    raise _invalid((FieldViolation(f"/{field}", _LINE_RULE),))


def _invalid(violations: tuple[FieldViolation, ...]) -> InvalidArgument:
    return InvalidArgument(
        "APPROVAL_REQUEST_INVALID",
        "the request cannot be made as it is",
        fix="correct what the violations name",
        violations=violations,
    )


def _fits(kind: ApprovalKind, *, platform: bool) -> bool:
    return kind.scope is Scope.EITHER or (kind.scope is Scope.PLATFORM) == platform


def _scope_rule(kind: ApprovalKind) -> str:
    if kind.scope is Scope.PLATFORM:
        return "must be set: the kind concerns the platform as a whole"
    return "must not be set: the kind concerns one tenant"
