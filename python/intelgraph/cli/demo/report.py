"""What the demo counted, and whether the counts add up."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

import orjson

from intelgraph.cli.loading import Loaded, p95
from intelgraph.errors import DataLoss

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class DemoReport:
    """Counts in records, but `changes` in rows that the run added to the change log."""

    sent: int
    accepted: int
    unchanged: int
    duplicate: int
    quarantined: int
    changes: int
    records_per_second: float
    p95_ack_ms: float

    @classmethod
    def of(cls, loads: Sequence[Loaded], changes: int) -> Self:
        """The report of a run."""
        seconds = sum(loaded.seconds for loaded in loads)
        sent = sum(loaded.totals.sent for loaded in loads)
        acks = tuple(second for loaded in loads for second in loaded.ack_seconds)
        return cls(
            sent=sent,
            accepted=sum(loaded.totals.accepted for loaded in loads),
            unchanged=sum(loaded.totals.unchanged for loaded in loads),
            duplicate=sum(loaded.totals.duplicate for loaded in loads),
            quarantined=sum(loaded.totals.quarantined for loaded in loads),
            changes=changes,
            records_per_second=round(sent / seconds, 1) if seconds else 0.0,
            p95_ack_ms=round(1000 * p95(acks), 1),
        )

    def check(self) -> None:
        """Raises DataLoss (DEMO_COUNTS) where a record is unaccounted for, or a change."""
        answered = self.accepted + self.unchanged + self.duplicate + self.quarantined
        if self.sent != answered or self.accepted != self.changes:
            raise DataLoss(
                reason="DEMO_COUNTS",
                message=f"{self.sent} sent, {answered} answered; {self.accepted} and {self.changes} changes",
                fix="report it with the gateway's log; `make demo-clean` begins anew",
            )

    def write(self, path: Path) -> None:
        """Writes the report as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
