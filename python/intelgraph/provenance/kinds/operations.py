"""Operations, and retention, the first of them. 90 to 109."""

from dataclasses import dataclass
from typing import ClassVar

from intelgraph.provenance.facts import Facts


@dataclass(frozen=True, slots=True)
class OperationStarted(Facts):
    """Something longer than a request was asked for."""

    KIND: ClassVar[str] = "operation.started"
    NUMBER: ClassVar[int] = 90
    ERASABLE: ClassVar[bool] = True
    operation: str
    operation_id: str
    input: str
    """Canonical JSON."""


@dataclass(frozen=True, slots=True)
class OperationFinished(Facts):
    """An operation came to its end: done, failed or cancelled."""

    KIND: ClassVar[str] = "operation.finished"
    NUMBER: ClassVar[int] = 91
    ERASABLE: ClassVar[bool] = True
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
    ERASABLE: ClassVar[bool] = True
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
