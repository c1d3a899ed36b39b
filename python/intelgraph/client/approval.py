"""Approvals, and the keys of approvers, as the gateway tells them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Final
from uuid import UUID

from intelgraph.approval_statement import DecisionWord, StatementFacts
from intelgraph.client.times import from_us
from intelgraph.errors import DataLoss
from intelgraph.gateway.v1 import approval_pb2

if TYPE_CHECKING:
    from datetime import datetime

_DECISIONS: Final[dict[int, DecisionWord]] = {
    approval_pb2.APPROVAL_DECISION_APPROVE: "approve",
    approval_pb2.APPROVAL_DECISION_DENY: "deny",
}


class ApprovalState(IntEnum):
    """Where an approval stands."""

    REQUESTED = approval_pb2.APPROVAL_STATE_REQUESTED
    """Waits for its quorum."""
    APPROVED = approval_pb2.APPROVAL_STATE_APPROVED
    """Has its quorum, and was not used yet."""
    DENIED = approval_pb2.APPROVAL_STATE_DENIED
    WITHDRAWN = approval_pb2.APPROVAL_STATE_WITHDRAWN
    EXPIRED = approval_pb2.APPROVAL_STATE_EXPIRED
    USED = approval_pb2.APPROVAL_STATE_USED
    """The act happened."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What one person said."""

    approver: str
    word: DecisionWord
    decided_us: int
    """Microseconds since the Unix epoch."""
    machine: bool
    reason: str
    statement: bytes = field(repr=False)
    """The bytes that were signed, or would have been."""
    algorithm: str
    """Empty without a signature, as the two below."""
    public_key: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval as it was when it was read."""

    approval_id: UUID
    tenant: str
    platform: bool
    origin: str
    kind: str
    title: str
    document: bytes = field(repr=False)
    """What exactly is to happen, as canonical JSON; empty in lists."""
    digest: bytes
    """SHA-256 of the document."""
    plan: tuple[str, ...]
    """What will happen, in plain words; empty in lists."""
    now: tuple[str, ...]
    """What the plan comes to as things are at this moment; nothing that anybody approves."""
    reason: str
    ticket: str
    role: str
    quorum: int
    missing: int
    requested_by: str
    requested_us: int
    """Microseconds since the Unix epoch, as all times."""
    expires_us: int
    state: ApprovalState
    settled_by: str
    settled_us: int
    superseded_by: UUID | None
    decisions: tuple[Decision, ...]

    @property
    def requested(self) -> datetime:
        """When it was asked for."""
        return from_us(self.requested_us)

    @property
    def expires(self) -> datetime:
        """When its time is over."""
        return from_us(self.expires_us)

    @property
    def statement_facts(self) -> StatementFacts:
        """What its statements are about."""
        return StatementFacts(
            origin=self.origin,
            tenant=self.tenant,
            platform=self.platform,
            approval_id=str(self.approval_id),
            kind=self.kind,
            digest=self.digest,
            role=self.role,
            quorum=self.quorum,
            requested_by=self.requested_by,
            expires_us=self.expires_us,
        )


@dataclass(frozen=True, slots=True)
class ApprovalNews:
    """An approval that waits for the caller, or does not any more; None says that all which waited were told."""

    approval: Approval | None
    awaits_caller: bool


@dataclass(frozen=True, slots=True)
class ApproverKey:
    """A key that an approver signs with."""

    key_id: bytes
    approver: str
    algorithm: str
    public_key: bytes = field(repr=False)
    """SubjectPublicKeyInfo in DER."""
    registered_us: int
    revoked_us: int
    """0 while it is in force."""
    revoked_by: str
    revoke_reason: str


def news_of(response: approval_pb2.WatchApprovalsResponse) -> ApprovalNews:
    """What a response of the stream tells."""
    if response.caught_up:
        return ApprovalNews(None, awaits_caller=False)
    return ApprovalNews(approval_of(response.approval), response.awaits_caller)


def approval_of(approval: approval_pb2.Approval) -> Approval:
    """The approval of a message. Raises DataLoss APPROVAL_DIGEST_DIFFERS."""
    if approval.document and hashlib.sha256(approval.document).digest() != approval.digest:
        raise DataLoss(
            "APPROVAL_DIGEST_DIFFERS",
            "the document is not the one that the digest of the approval is of",
            fix="approve nothing, and have the database checked: `intelgraph ledger verify`",
        )
    return Approval(
        approval_id=UUID(approval.approval_id),
        tenant=approval.tenant,
        platform=approval.platform,
        origin=approval.origin,
        kind=approval.kind,
        title=approval.title,
        document=approval.document,
        digest=approval.digest,
        plan=tuple(approval.plan),
        now=tuple(approval.now),
        reason=approval.reason,
        ticket=approval.ticket,
        role=approval.role,
        quorum=approval.quorum,
        missing=approval.missing,
        requested_by=approval.requested_by,
        requested_us=approval.requested_us,
        expires_us=approval.expires_us,
        state=ApprovalState(approval.state),
        settled_by=approval.settled_by,
        settled_us=approval.settled_us,
        superseded_by=UUID(approval.superseded_by) if approval.superseded_by else None,
        decisions=tuple(_decision(decision) for decision in approval.decisions),
    )


def _decision(decision: approval_pb2.Decision) -> Decision:
    return Decision(
        approver=decision.approver,
        word=_DECISIONS[decision.decision],
        decided_us=decision.decided_us,
        machine=decision.machine,
        reason=decision.reason,
        statement=decision.statement,
        algorithm=decision.algorithm,
        public_key=decision.public_key,
        signature=decision.signature,
    )


def key_of(key: approval_pb2.ApproverKey) -> ApproverKey:
    """The key of a message."""
    return ApproverKey(
        key_id=key.key_id,
        approver=key.approver,
        algorithm=key.algorithm,
        public_key=key.public_key,
        registered_us=key.registered_us,
        revoked_us=key.revoked_us,
        revoked_by=key.revoked_by,
        revoke_reason=key.revoke_reason,
    )
