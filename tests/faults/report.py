"""Figures of a run of the faults."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field


@dataclass
class Survived:
    """What one fault did, and what was found in the log afterwards."""

    faults: int
    """How often it struck."""
    batches_acked: int
    """Batches of which the client had the acknowledgement, or learnt on resuming that they were committed."""
    records_acked: int
    present_once: int
    """Acknowledged records that are in the log, once."""
    duplicates: int
    """Rows of the log beyond one for each acknowledged record."""
    reconnects: int
    seconds: float


@dataclass
class Report:
    """All faults, by name."""

    survived: dict[str, Survived] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The faults and the sum of the kills among them."""
        kills = sum(each.faults for name, each in self.survived.items() if name.startswith("gateway_killed"))
        return {"kills": kills, "faults": {name: asdict(each) for name, each in self.survived.items()}}
