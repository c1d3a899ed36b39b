"""What came of an `ingest`, for people and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from intelgraph.cli.broken_rules import broken_rules_table
from intelgraph.cli.loading import Loaded, p95
from intelgraph.cli.unreadable import count_of_lines

if TYPE_CHECKING:
    from rich.console import RenderableType

    from intelgraph.cli.load_quarantine import LoadQuarantine

_ENTRIES_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """What came of each source. `quarantine` is None where the caller may not read the quarantine."""

    loads: list[Loaded]
    quarantine: LoadQuarantine | None

    def as_json(self) -> dict[str, Any]:
        """As --json shows it."""
        loads = self.loads
        first = loads[0].destination
        unknown = dict.fromkeys(
            ("broken_rules", "quarantine_ids", "waited_already", "waited_in", "warned_rules", "stored_ids")
        )
        return {
            "dataset": first.dataset,
            "stream_id": first.stream_id,
            "sent": sum(loaded.totals.sent for loaded in loads),
            "accepted": sum(loaded.totals.accepted for loaded in loads),
            "unchanged": sum(loaded.totals.unchanged for loaded in loads),
            "duplicate": sum(loaded.totals.duplicate for loaded in loads),
            "quarantined": sum(loaded.totals.quarantined for loaded in loads),
            "warned": sum(loaded.totals.warned for loaded in loads),
            "rejected": sum(loaded.totals.rejected for loaded in loads),
            "settled_on_resume": sum(loaded.totals.settled_on_resume for loaded in loads),
            "unreadable": sum(loaded.unreadable.total for loaded in loads),
            "unreadable_lines": [
                {"file": loaded.source, "problem": problem, "count": count, "first_lines": list(first_lines)}
                for loaded in loads
                for problem, (count, first_lines) in loaded.unreadable.problems.items()
            ],
            "seconds": round(sum(loaded.seconds for loaded in loads), 3),
            "p95_ack_ms": round(1000 * p95(self._ack_seconds), 1),
            "reconnects": sum(loaded.reconnects for loaded in loads),
        } | (unknown if self.quarantine is None else self.quarantine.as_json())

    def for_people(self) -> RenderableType:
        """Counts, then what did not go as it should."""
        parts: list[RenderableType] = [
            Text(f"stream {self.loads[0].destination.stream_id}", overflow="fold"),
            _counts(self.loads),
        ]
        for loaded in self.loads:
            parts += [*_rejections(loaded), *_settled(loaded), *_unreadable(loaded)]
        if any(loaded.totals.quarantined for loaded in self.loads):
            parts += self._quarantined()
        if any(loaded.totals.warned for loaded in self.loads):
            parts += self._warned()
        return Group(*parts)

    @property
    def _ack_seconds(self) -> tuple[float, ...]:
        return tuple(second for loaded in self.loads for second in loaded.ack_seconds)

    def _quarantined(self) -> list[RenderableType]:
        dataset = self.loads[0].destination.dataset
        look = Text(
            f"Look closer with `intelgraph quarantine list {dataset}` and `intelgraph quarantine show ID`."
        )
        if self.quarantine is None:
            return [
                Text("Why they were quarantined is for those who may read the quarantine.", "yellow"),
                look,
            ]
        parts: list[RenderableType] = []
        if self.quarantine.rules:
            parts.append(broken_rules_table(self.quarantine.rules, "Quarantined, and why"))
        if self.quarantine.waited:
            parts.append(_waited(self.quarantine))
        return [*parts, look]

    def _warned(self) -> list[RenderableType]:
        records = sum(loaded.totals.warned for loaded in self.loads)
        said = Text(
            f"{records:,} of the accepted records break the contract and were stored all the same, because it only"
            f" warns: `intelgraph quarantine list --stored {self.loads[0].destination.dataset}`.",
            "yellow",
        )
        if self.quarantine is None or not self.quarantine.warned_rules:
            return [said]
        return [broken_rules_table(self.quarantine.warned_rules, "Stored with a warning, and why"), said]


def _counts(loads: list[Loaded]) -> Table:
    """One row a source, within 80 columns: the name is folded, numbers are not."""
    table = Table(header_style="bold", box=None, collapse_padding=True, pad_edge=False)
    table.add_column("from", overflow="fold")
    for column in ("sent", "accepted", "unchanged", "duplicate", "quarantined", "rate", "p95 ack"):
        table.add_column(column, justify="right", no_wrap=True)
    for loaded in loads:
        totals = loaded.totals
        table.add_row(
            Text(loaded.source),
            f"{totals.sent:,}",
            f"{totals.accepted:,}",
            f"{totals.unchanged:,}",
            f"{totals.duplicate:,}",
            f"{totals.quarantined:,}",
            f"{loaded.records_per_second:,.0f}/s",
            f"{1000 * p95(loaded.ack_seconds):,.0f} ms",
        )
    return table


def _rejections(loaded: Loaded) -> list[Text]:
    if not loaded.rejections:
        return []
    lines = [f"{loaded.source}: {loaded.totals.rejected:,} records were rejected, and none of them is stored"]
    lines += [
        f"batch {outcome.sequence} ({outcome.records:,} records from record {outcome.first_record:,} on)"
        f" was rejected: {outcome.error}"
        for outcome in loaded.rejections
    ]
    return [Text(line, "red") for line in lines]


def _settled(loaded: Loaded) -> list[Text]:
    settled = loaded.totals.settled_on_resume
    if not settled:
        return []
    return [
        Text(
            f"{loaded.source}: {settled:,} records were settled while the connection broke; the answer was"
            " lost, so what came of each is not known here",
            "yellow",
        )
    ]


def _unreadable(loaded: Loaded) -> list[Text]:
    return [
        Text(
            f"{loaded.source}: {count_of_lines(count)} no record: {problem}"
            f" (line {', '.join(f'{line:,}' for line in first)}{', …' if count > len(first) else ''})",
            "red",
        )
        for problem, (count, first) in loaded.unreadable.problems.items()
    ]


def _waited(quarantine: LoadQuarantine) -> Text:
    records = "1 record" if quarantine.waited == 1 else f"{quarantine.waited:,} records"
    line = f"{records} waited in quarantine already"
    entries = quarantine.waited_in
    if entries:
        shown = ", ".join(str(entry) for entry in entries[:_ENTRIES_SHOWN])
        more = f" and {len(entries) - _ENTRIES_SHOWN:,} more" if len(entries) > _ENTRIES_SHOWN else ""
        line += f", see `intelgraph quarantine show ID` of {shown}{more}"
    return Text(line, "yellow", overflow="fold")
