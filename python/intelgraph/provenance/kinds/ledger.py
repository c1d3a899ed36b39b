"""The ledger's own acts, and those on copies of the whole: erased, recovered, forked, backed up, restored. 50 to 69."""

from dataclasses import dataclass
from typing import ClassVar

from intelgraph.provenance.facts import Facts


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
    approval_id: str
    """The approval that was used up for it."""


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
