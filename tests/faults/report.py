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
class Raced:
    """What came of acts that raced for approvals."""

    approvals: int
    clients: int
    attempts: int
    acts: int
    """Acts that are committed; one for each approval, or it was used twice."""
    seconds: float
    acts_per_s: float
    attempts_per_s: float


@dataclass
class Report:
    """All faults, and all races, by name."""

    survived: dict[str, Survived] = field(default_factory=dict)
    raced: dict[str, Raced] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The faults and the sum of the kills among them."""
        kills = sum(each.faults for name, each in self.survived.items() if name.startswith("gateway_killed"))
        return {
            "kills": kills,
            "faults": {name: asdict(each) for name, each in self.survived.items()},
            "races": {name: asdict(each) for name, each in self.raced.items()},
        }
