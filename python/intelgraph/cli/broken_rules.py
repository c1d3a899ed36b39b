"""What quarantined records break, over several quarantine entries."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from intelgraph.client import AsyncClient, Violation, ViolationReport

_AT_ONCE: Final = 16
_KINDS_SHOWN: Final = 4
_COUNTED: Final = re.compile(r"(.*) \((\d+) times\)", re.DOTALL)


@dataclass(slots=True)
class BrokenRule:
    """One rule, broken at one place of the record."""

    rule: str
    pointer: str
    fix: str
    count: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    """What was found (type, class, length), and how often."""

    @property
    def found(self) -> str:
        """What was found, most frequent first; how often is said where there are several kinds."""
        if len(self.kinds) == 1:
            return next(iter(self.kinds))
        shown = [f"{kind} ({times:,} times)" for kind, times in self.kinds.most_common(_KINDS_SHOWN)]
        return "; ".join([*shown, "…"] if len(self.kinds) > _KINDS_SHOWN else shown)

    def add(self, violation: Violation) -> None:
        """Adds what one batch's report says of the rule at this place."""
        self.count += violation.count
        for kind in violation.found.split("; "):
            counted = _COUNTED.fullmatch(kind)
            self.kinds[counted[1] if counted else kind] += int(counted[2]) if counted else 1

    def as_json(self) -> dict[str, Any]:
        """As --json shows it."""
        return {
            "rule": self.rule,
            "pointer": self.pointer,
            "count": self.count,
            "found": self.found,
            "fix": self.fix,
        }


async def broken_rules(client: AsyncClient, entries: Iterable[UUID]) -> list[BrokenRule]:
    """What the records of the entries break, most frequent first. Raises as `Quarantine.get`."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def report(entry: UUID) -> ViolationReport:
        async with gate:
            return (await client.quarantine.get(entry)).report

    return sum_up(await asyncio.gather(*(report(entry) for entry in entries)))


def sum_up(reports: Iterable[ViolationReport]) -> list[BrokenRule]:
    """The groups of several reports, added up by rule and place."""
    rules: dict[tuple[str, str], BrokenRule] = {}
    for report in reports:
        for violation in report.violations:
            place = (violation.rule, violation.instance_pointer)
            rules.setdefault(place, BrokenRule(*place, violation.fix)).add(violation)
    return sorted(rules.values(), key=lambda rule: -rule.count)


def broken_rules_table(rules: Sequence[BrokenRule], title: str) -> Table:
    """The rules for people."""
    table = Table(title=title, title_justify="left", title_style="bold yellow")
    table.add_column("times", justify="right")
    for column in ("rule", "at", "found", "what to do"):
        table.add_column(column, overflow="fold")
    for rule in rules:
        table.add_row(f"{rule.count:,}", rule.rule, rule.pointer or "(record)", rule.found, rule.fix)
    return table
