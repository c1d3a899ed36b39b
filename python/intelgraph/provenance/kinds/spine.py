"""Acts of the spine: contracts, keys, quarantine, streams, tokens, migrations, gateways, tenants. 10 to 49."""

from dataclasses import dataclass
from typing import ClassVar

from intelgraph.provenance.facts import Facts


@dataclass(frozen=True, slots=True)
class ContractPublished(Facts):
    """A version of a dataset's contract can be used."""

    KIND: ClassVar[str] = "contract.published"
    NUMBER: ClassVar[int] = 10
    dataset: str
    version: str
    digest: str
    """SHA-256 of the canonical document, hexadecimal."""
    retention: str = ""
    """Its class; empty in entries of before it was told."""


@dataclass(frozen=True, slots=True)
class DataKeyCreated(Facts):
    """A data key seals from now on."""

    KIND: ClassVar[str] = "data_key.created"
    NUMBER: ClassVar[int] = 11
    dek_id: str
    tenant_key_id: str
    suite: int


@dataclass(frozen=True, slots=True)
class DataKeyRetired(Facts):
    """A data key seals no more; what it sealed still opens."""

    KIND: ClassVar[str] = "data_key.retired"
    NUMBER: ClassVar[int] = 12
    dek_id: str
    replaced_by: str


@dataclass(frozen=True, slots=True)
class KeyringVersionCreated(Facts):
    """A version of an owner's key-encryption key wrapped its first tenant key."""

    KIND: ClassVar[str] = "keyring.version_created"
    NUMBER: ClassVar[int] = 13
    provider: str
    kek_id: str
    kek_version: str
    tenant_key_id: str


@dataclass(frozen=True, slots=True)
class QuarantineOpened(Facts):
    """Somebody was shown what waits in quarantine."""

    KIND: ClassVar[str] = "quarantine.opened"
    NUMBER: ClassVar[int] = 14
    ERASABLE: ClassVar[bool] = True
    dataset: str
    quarantine_id: str
    with_records: bool


@dataclass(frozen=True, slots=True)
class StreamOpened(Facts):
    """A stream was opened by a producer that it did not have before."""

    KIND: ClassVar[str] = "stream.opened"
    NUMBER: ClassVar[int] = 15
    stream_id: str
    dataset: str
    producer: str
    producer_before: str | None
    source_region: str


@dataclass(frozen=True, slots=True)
class TokenMinted(Facts):
    """The local issuer signed an access token."""

    KIND: ClassVar[str] = "token.minted"
    NUMBER: ClassVar[int] = 16
    ERASABLE: ClassVar[bool] = True
    token_id: str
    holder: str
    roles: tuple[str, ...]
    expires_us: int


@dataclass(frozen=True, slots=True)
class MigrationApplied(Facts):
    """The schema of the database was brought up to date."""

    KIND: ClassVar[str] = "migration.applied"
    NUMBER: ClassVar[int] = 17
    name: str
    digest: str
    """SHA-256 of the file, hexadecimal."""


@dataclass(frozen=True, slots=True)
class GatewayStarted(Facts):
    """A process began to serve."""

    KIND: ClassVar[str] = "gateway.started"
    NUMBER: ClassVar[int] = 18
    version: str
    configuration: str
    """SHA-256 of the settings but for secrets, hexadecimal."""
    process: str


@dataclass(frozen=True, slots=True)
class GatewayStopped(Facts):
    """A process stopped as it was told to. One that was killed leaves no such entry."""

    KIND: ClassVar[str] = "gateway.stopped"
    NUMBER: ClassVar[int] = 19
    configuration: str
    process: str


@dataclass(frozen=True, slots=True)
class TenantCreated(Facts):
    """There is a new tenant."""

    KIND: ClassVar[str] = "tenant.created"
    NUMBER: ClassVar[int] = 20
    limits: str
    """Canonical JSON."""


@dataclass(frozen=True, slots=True)
class TenantLimitsChanged(Facts):
    """A tenant may have more, or less."""

    KIND: ClassVar[str] = "tenant.limits_changed"
    NUMBER: ClassVar[int] = 21
    before: str
    """Canonical JSON."""
    after: str
    """Canonical JSON."""


@dataclass(frozen=True, slots=True)
class TenantStateChanged(Facts):
    """A tenant was suspended, let go on, or offboarded."""

    KIND: ClassVar[str] = "tenant.state_changed"
    NUMBER: ClassVar[int] = 22
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class LogAnchored(Facts):
    """A tenant's change log had this root when it had this size (RFC 6962)."""

    KIND: ClassVar[str] = "log.anchored"
    NUMBER: ClassVar[int] = 23
    size: int
    root: str
    recorded_us: int
    """When its last change was recorded."""


@dataclass(frozen=True, slots=True)
class ContractRetentionChanged(Facts):
    """A version that was published holds its dataset, lifts its hold, or keeps it for another time."""

    KIND: ClassVar[str] = "contract.retention_changed"
    NUMBER: ClassVar[int] = 24
    dataset: str
    version: str
    before: str
    """Class that held until then."""
    after: str
    """Class that holds from then on."""
    shortens: bool
    """Whether a hold is lifted, or the dataset kept for less long."""
    due_changes: int
    """Changes that were due at once, where it shortens."""
    due_quarantined: int
    """Likewise, records in quarantine."""
    approval_id: str | None
    """The approval that was used up for it."""
