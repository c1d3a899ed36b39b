"""One timing of one arm of a comparison."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run of one arm did.

    Attributes:
        records: number of records processed.
        wall_s: elapsed time in seconds.
        cpu_s: CPU time (user + system) in seconds of the process under test, its children included.
        storage_cpu_s: CPU time in seconds of the PostgreSQL server behind it; 0 where there is none.
        ack_ms: time from sending a batch to its acknowledgement, in milliseconds, one per batch; empty
            where nothing is acknowledged.
        resident_bytes: resident size at the end of the run, of the processes that `cpu_s` counts; 0 where it was not
            taken.
    """

    records: int
    wall_s: float
    cpu_s: float
    storage_cpu_s: float = 0.0
    ack_ms: tuple[float, ...] = ()
    resident_bytes: int = 0

    @property
    def per_second(self) -> float:
        """Records per second of elapsed time."""
        return self.records / self.wall_s

    @property
    def per_core_second(self) -> float:
        """Records per second of CPU time: what one core does, whatever else the machine is busy with."""
        return self.records / self.cpu_s

    @property
    def cpu_us(self) -> float:
        """CPU time per record in microseconds, without PostgreSQL."""
        return self.cpu_s / self.records * 1e6

    @property
    def storage_cpu_us(self) -> float:
        """PostgreSQL's CPU time per record in microseconds."""
        return self.storage_cpu_s / self.records * 1e6

    def ack_percentile_ms(self, percent: int) -> float:
        """The given percentile (1..99) of `ack_ms`; needs at least two acknowledgements."""
        return statistics.quantiles(self.ack_ms, n=100, method="inclusive")[percent - 1]


Quantity = Callable[[Sample], float]
"""What of a sample is compared, for example `lambda sample: sample.per_second`."""


class Arm(Protocol):
    """One side of a comparison."""

    @property
    def name(self) -> str:
        """How tables and JSON call it; unique within a comparison."""

    def measure(self) -> Sample:
        """Runs once, for a duration the arm was built with."""
