"""What a run of retention remembers from one step to the next, and what it says of itself."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

Phase = Literal["list", "count", "remove", "quarantine", "merge", "end"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RetentionInput:
    """What is asked for: these datasets, or all; and only to say what would go."""

    datasets: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class DatasetRun:
    """One dataset, as far as the run is. Times are microseconds since the Unix epoch."""

    dataset_id: int
    dataset: str
    retention: str
    cut_us: int | None
    """What was recorded before goes; None while the dataset is held."""
    first_after: int
    """The change after which something may be due."""
    until: int
    """The last change that may be due or, of a held dataset, that is held."""
    due: int = 0
    held: int = 0
    oldest_us: int | None = None
    newest_us: int | None = None
    quarantine_due: int = 0
    quarantine_held: int = 0
    removed: int = 0
    anchored: int = 0
    quarantine_entries: int = 0
    quarantine_records: int = 0
    stopped: bool = False
    """Whether it came to be held, or kept for longer, while the run was at it."""

    @property
    def is_held(self) -> bool:
        """Whether nothing of it may go."""
        return self.cut_us is None or self.stopped

    @property
    def cut(self) -> datetime | None:
        """`cut_us` as a moment."""
        return None if self.cut_us is None else _EPOCH + timedelta(microseconds=self.cut_us)

    def as_result(self) -> dict[str, Any]:
        """What people and programs are told."""
        return {
            "dataset": self.dataset,
            "retention": self.retention,
            "cut_us": self.cut_us,
            "held_because": self._why_held(),
            "due": self.due,
            "held": self.held,
            "oldest_us": self.oldest_us,
            "newest_us": self.newest_us,
            "quarantine_due": self.quarantine_due,
            "quarantine_held": self.quarantine_held,
            "removed": self.removed,
            "anchored": self.anchored,
            "quarantine_entries": self.quarantine_entries,
            "quarantine_records": self.quarantine_records,
        }

    def _why_held(self) -> str:
        if self.stopped:
            return "a contract that holds the dataset, or keeps it for longer, was published during the run"
        return f"the newest contract says {self.retention}" if self.is_held else ""


@dataclass(frozen=True, slots=True)
class RetentionMemory:
    """Where a run is."""

    phase: Phase = "list"
    at: int = 0
    """Index of the dataset."""
    after: int = 0
    """The change after which the phase goes on."""
    counted: int = 0
    datasets: tuple[DatasetRun, ...] = ()

    @property
    def current(self) -> DatasetRun:
        """The dataset that the run is at."""
        return self.datasets[self.at]


def to_us(moment: datetime) -> int:
    """Microseconds since the Unix epoch."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
