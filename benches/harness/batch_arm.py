"""An arm that calls one function in this process, batch after batch."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from benches.harness.sample import Sample


@dataclass(frozen=True, slots=True)
class BatchArm:
    """Times `process_batch`, which must do the work for `records` records each time it is called."""

    name: str
    process_batch: Callable[[], object]
    records: int
    seconds: float

    def measure(self) -> Sample:
        """Calls `process_batch` until `seconds` have passed, at least once."""
        calls = 0
        cpu_started = time.process_time()
        started = now = time.perf_counter()
        while calls == 0 or now < started + self.seconds:
            self.process_batch()
            calls += 1
            now = time.perf_counter()
        return Sample(calls * self.records, now - started, time.process_time() - cpu_started)
