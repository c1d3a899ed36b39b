"""What a check of the ledger found."""

from dataclasses import dataclass, field
from typing import Final

MOST_FINDINGS: Final = 1000


@dataclass(slots=True)
class Finding:
    """Something that is not as it was written: `index` of the entry, or `file`, or `table` and `row`; none of them
    where it is the whole.
    """

    reason: str
    message: str
    index: int | None = None
    file: str | None = None
    table: str | None = None
    row: str | None = None
    """What names the row in its table."""
    following: int = 0
    """Further ones of its kind that are so because this one is."""


@dataclass(slots=True)
class LedgerVerdict:
    """What a check found."""

    origin: str
    size: int
    root: bytes
    """Computed from the entries."""
    checkpoints: int = 0
    """That were checked."""
    files: int = 0
    findings: list[Finding] = field(default_factory=list)
    """At most a thousand."""
    omitted: int = 0

    def find(
        self,
        reason: str,
        message: str,
        *,
        index: int | None = None,
        file: str | None = None,
        table: str | None = None,
        row: str | None = None,
    ) -> Finding:
        """Adds a finding, and gives it, to count what follows from it."""
        finding = Finding(reason, message, index, file, table, row)
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)
        else:
            self.omitted += 1
        return finding
