"""Every kind of ledger entry there is, with its schema. `docs/ledger.md` lists them for auditors.

An entry of a kind that is not here cannot be written: `Ledger.append` takes these types and no others. A field is never
removed and never changes its meaning; one that is added has a default.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from intelgraph.provenance import approval_kinds, flag_kinds
from intelgraph.provenance.facts import Facts

# -- the spine: 10 to 49 ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ContractPublished(Facts):
    """A version of a dataset's contract can be used."""

    KIND: ClassVar[str] = "contract.published"
    NUMBER: ClassVar[int] = 10
    dataset: str
    version: str
    digest: str
    """SHA-256 of the canonical document, hexadecimal."""


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


# -- the ledger's own: 50 to 69 --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EntryErased(Facts):
    """Header and payload of an entry were erased. Its commitments, and every proof, stay."""

    KIND: ClassVar[str] = "ledger.entry_erased"
    NUMBER: ClassVar[int] = 50
    index: int
    entry_id: str
    erased_kind: str
    about_tenant: str | None
    """Id of the tenant that the entry was about; None for the platform's own."""
    reason: str


@dataclass(frozen=True, slots=True)
class LedgerRecovered(Facts):
    """After a restore the entries that the database lacked were taken from the log's tiles."""

    KIND: ClassVar[str] = "ledger.recovered"
    NUMBER: ClassVar[int] = 51
    first_index: int
    size: int
    sealed_found: int
    """Of them, those whose header and payload the database still had in its outbox."""


@dataclass(frozen=True, slots=True)
class ForkAcknowledged(Facts):
    """Two people acknowledged that a log which was signed is given up, and another goes on in its place."""

    KIND: ClassVar[str] = "ledger.fork_acknowledged"
    NUMBER: ClassVar[int] = 52
    origin_before: str
    signed_size: int
    signed_root: str
    fork_index: int
    origin_after: str
    approval_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class BackupTaken(Facts):
    """Database, keyring and log were copied into one file."""

    KIND: ClassVar[str] = "backup.taken"
    NUMBER: ClassVar[int] = 53
    digest: str
    """SHA-256 of the file, hexadecimal."""
    size: int
    log_size: int
    """Entries of the log in it."""
    with_key_file: bool
    """Whether it holds what unlocks the keyring in it."""


@dataclass(frozen=True, slots=True)
class BackupRestored(Facts):
    """A database was filled from a backup."""

    KIND: ClassVar[str] = "backup.restored"
    NUMBER: ClassVar[int] = 54
    digest: str
    """SHA-256 of the file, hexadecimal."""
    log_size: int
    """Entries of the log in it."""


# -- approvals, 70 to 89: in `approval_kinds` ------------------------------------------------------
# -- operations and retention: 90 to 109 -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OperationStarted(Facts):
    """Something longer than a request was asked for."""

    KIND: ClassVar[str] = "operation.started"
    NUMBER: ClassVar[int] = 90
    operation: str
    operation_id: str
    input: str
    """Canonical JSON."""


@dataclass(frozen=True, slots=True)
class OperationFinished(Facts):
    """An operation came to its end: done, failed or cancelled."""

    KIND: ClassVar[str] = "operation.finished"
    NUMBER: ClassVar[int] = 91
    operation: str
    operation_id: str
    state: str
    steps: int
    """Steps that were committed."""
    done: int
    """Units of the kind."""
    reason: str
    """Why it failed; empty otherwise."""
    undone: str
    """What cancelling it undid, and what stays; empty otherwise."""


@dataclass(frozen=True, slots=True)
class OperationCancelled(Facts):
    """Somebody cancelled an operation."""

    KIND: ClassVar[str] = "operation.cancelled"
    NUMBER: ClassVar[int] = 92
    operation: str
    operation_id: str
    steps: int
    """Steps that were committed by then."""


@dataclass(frozen=True, slots=True)
class RetentionRun(Facts):
    """Changes and quarantined records of a dataset went after their time, or were held."""

    KIND: ClassVar[str] = "retention.run"
    NUMBER: ClassVar[int] = 93
    operation_id: str
    dataset: str
    retention: str
    """Class of the dataset's newest contract."""
    cut_us: int | None
    """What was recorded before goes; None where the dataset is held."""
    removed: int
    """Changes."""
    anchored: int
    """Kept versions that got a snapshot, because what they leaned on went."""
    quarantine_entries: int
    quarantine_records: int
    held: int
    """Changes and quarantined records that are held."""
    complete: bool
    """Whether all went that was due."""


# -- flags, 110 to 119: in `flag_kinds` ------------------------------------------------------------
# -- policy: 120 to 129 ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PolicyChanged(Facts):
    """A tenant put rules in force, or removed them."""

    KIND: ClassVar[str] = "policy.changed"
    NUMBER: ClassVar[int] = 120
    version: int
    revision: str
    """SHA-256 of the modules as they are stored, hexadecimal."""
    files: tuple[str, ...]
    """None where the rules were removed."""


_MODULES: Final = (approval_kinds, flag_kinds)


def _by_number() -> Mapping[int, type[Facts]]:
    here = [*globals().values(), *(each for module in _MODULES for each in vars(module).values())]
    found = dict.fromkeys(each for each in here if isinstance(each, type) and issubclass(each, Facts))
    kinds = [each for each in found if each is not Facts]
    numbered = {each.NUMBER: each for each in kinds}
    if len(numbered) < len(kinds) or len({each.KIND for each in kinds}) < len(kinds):
        raise AssertionError("two kinds of ledger entries have one number or one name")
    return numbered


KINDS: Final[Mapping[int, type[Facts]]] = _by_number()
"""The kinds by their numbers."""

KIND_NAMES: Final[Mapping[str, int]] = {kind.KIND: number for number, kind in KINDS.items()}
"""The numbers of the kinds by their names."""
