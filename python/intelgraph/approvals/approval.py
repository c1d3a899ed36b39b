"""What an approval is: who asks for the consent to what, who gave it, and where it stands."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from intelgraph.approval_statement import DecisionWord, StatementFacts
from intelgraph.person import person_of

if TYPE_CHECKING:
    from intelgraph.provenance.actor import Actor, Method

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ApprovalState(Enum):
    """Where an approval stands."""

    REQUESTED = "requested"
    """Waits for its quorum."""
    APPROVED = "approved"
    """Has its quorum, and was not used yet."""
    DENIED = "denied"
    """An approver said no."""
    WITHDRAWN = "withdrawn"
    """The requester took it back, or asked anew with another plan."""
    EXPIRED = "expired"
    """Its time was over before it was used."""
    USED = "used"
    """The act happened. It can never be used again."""


OPEN: Final = frozenset({ApprovalState.REQUESTED, ApprovalState.APPROVED})
"""The states from which an approval can still go on."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who acts: one person, whatever token or certificate the call carries.

    A person is the subject of the identity. `machine` says that it is none: who lets one decide is the gateway.
    """

    actor: "Actor"
    roles: frozenset[str]
    machine: bool = False

    @property
    def name(self) -> str:
        """As its identity names it."""
        return self.actor.subject

    @property
    def person(self) -> str:
        """By what the person is told from others."""
        return person_of(self.name)


@dataclass(frozen=True, slots=True)
class Owner:
    """The tenant whose people decide; the platform tenant, where an act concerns the platform as a whole."""

    tenant_id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature over a statement, and the key that made it.

    `public_key` is SubjectPublicKeyInfo in DER, and `key_id` its SHA-256. An Ed25519 signature has the 64 bytes
    of RFC 8032, one of ES256 the 64 bytes of RFC 7518 section 3.4.
    """

    algorithm: str
    key_id: bytes
    public_key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Decision:
    """What one person said. `statement` are the bytes that were signed, or would have been."""

    approver: str
    method: "Method"
    word: DecisionWord
    decided_at: datetime
    machine: bool
    reason: str
    statement: bytes
    signature: Signature | None


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval as it was when it was read."""

    approval_id: UUID
    owner: Owner
    platform: bool
    origin: str
    """Of the ledger when it was asked for: which gateway its approvers sign for."""
    kind: str
    document: bytes
    """In the form of RFC 8785; empty in lists."""
    digest: bytes
    """SHA-256 of the document."""
    reason: str
    ticket: str
    role: str
    quorum: int
    requested_by: str
    requested_method: "Method"
    requested_at: datetime
    expires_at: datetime
    state: ApprovalState
    settled_by: str | None
    """Who used, denied or withdrew it; nobody where it is approved or has expired."""
    settled_at: datetime | None
    superseded_by: UUID | None
    owed: bool
    """Whether its entries of the ledger, which was forked when it was asked for, are written only when it is used."""
    decisions: tuple[Decision, ...] = ()
    """In the order in which they were made."""

    @property
    def requester(self) -> str:
        """The person who asked."""
        return person_of(self.requested_by)

    @property
    def approvers(self) -> frozenset[str]:
        """The persons who approved, and count: never who asked."""
        said = (person_of(decision.approver) for decision in self.decisions if decision.word == "approve")
        return frozenset(said) - {self.requester}

    def members(self) -> dict[str, Any]:
        """What its document says."""
        said: dict[str, Any] = json.loads(self.document)
        return said

    @property
    def missing(self) -> int:
        """How many more persons have to approve."""
        return max(0, self.quorum - len(self.approvers))

    @property
    def statement_facts(self) -> StatementFacts:
        """What its statements are about."""
        return StatementFacts(
            origin=self.origin,
            tenant=self.owner.name,
            platform=self.platform,
            approval_id=str(self.approval_id),
            kind=self.kind,
            digest=self.digest,
            role=self.role,
            quorum=self.quorum,
            requested_by=self.requested_by,
            expires_us=to_us(self.expires_at),
        )


def to_us(moment: datetime) -> int:
    """Microseconds since the Unix epoch, exact."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
