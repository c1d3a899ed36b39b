"""What becomes of approvals and of the keys that sign them. 70 to 89."""

from dataclasses import dataclass
from typing import ClassVar

from intelgraph.provenance.facts import Facts


@dataclass(frozen=True, slots=True)
class ApprovalRequested(Facts):
    """Somebody asks for the consent to an act."""

    KIND: ClassVar[str] = "approval.requested"
    NUMBER: ClassVar[int] = 70
    approval_id: str
    act: str
    """The kind of the act, for example `flag.change`."""
    digest: str
    """SHA-256 of the document that says what is to happen, hexadecimal."""
    platform: bool
    role: str
    quorum: int
    reason: str
    ticket: str
    expires_us: int
    supersedes: str | None
    """The request that this one takes the place of."""


@dataclass(frozen=True, slots=True)
class ApprovalGiven(Facts):
    """A person approved."""

    KIND: ClassVar[str] = "approval.approved"
    NUMBER: ClassVar[int] = 71
    approval_id: str
    act: str
    digest: str
    approvals: int
    """How many persons have approved with this one."""
    quorum: int
    machine: bool
    key_id: str | None
    """The key that signed the statement, hexadecimal; None where the approver has none."""


@dataclass(frozen=True, slots=True)
class ApprovalDenied(Facts):
    """An approver said no, and that ends the request."""

    KIND: ClassVar[str] = "approval.denied"
    NUMBER: ClassVar[int] = 72
    approval_id: str
    act: str
    digest: str
    reason: str
    machine: bool
    key_id: str | None


@dataclass(frozen=True, slots=True)
class ApprovalWithdrawn(Facts):
    """The requester took the request back."""

    KIND: ClassVar[str] = "approval.withdrawn"
    NUMBER: ClassVar[int] = 73
    approval_id: str
    act: str
    digest: str
    superseded_by: str | None
    """The request that takes its place, where the plan was changed."""


@dataclass(frozen=True, slots=True)
class ApprovalExpired(Facts):
    """The time of a request was over before the act."""

    KIND: ClassVar[str] = "approval.expired"
    NUMBER: ClassVar[int] = 74
    approval_id: str
    act: str
    digest: str
    was_approved: bool


@dataclass(frozen=True, slots=True)
class ApprovalUsed(Facts):
    """The act happened, in the same transaction as this entry."""

    KIND: ClassVar[str] = "approval.used"
    NUMBER: ClassVar[int] = 75
    approval_id: str
    act: str
    digest: str


@dataclass(frozen=True, slots=True)
class ApproverKeyRegistered(Facts):
    """A person signs with this key from now on."""

    KIND: ClassVar[str] = "approver_key.registered"
    NUMBER: ClassVar[int] = 76
    approver: str
    key_id: str
    algorithm: str
    public_key: str
    """SubjectPublicKeyInfo in DER, hexadecimal."""
    endorsed_by: str | None
    """The key of the same person that vouched for it; None where there was none in force."""
    approval_id: str | None
    """The approval under which it was registered; None where none was given."""


@dataclass(frozen=True, slots=True)
class ApproverKeyRevoked(Facts):
    """A key signs no more. What it signed before stays signed."""

    KIND: ClassVar[str] = "approver_key.revoked"
    NUMBER: ClassVar[int] = 77
    approver: str
    key_id: str
    reason: str
    endorsed_by: str | None
    """The owner's key that signed the revocation; None where another person revoked it."""
