"""What operators see of ingest. No label names a tenant or dataset, so their number does not grow with theirs.

All is counted per batch or per group of batches, from what the core says of it: no line runs per record.
"""

import time
from collections import deque
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from intelgraph._core import Bound, Engine

BYTES_IN_FLIGHT: Final = Gauge(
    "intelgraph_ingest_bytes_in_flight",
    "Bytes of batches that were received and are not answered yet",
    multiprocess_mode="livesum",
)
OPEN_STREAMS: Final = Gauge(
    "intelgraph_ingest_open_streams", "Connections of streams that are open", multiprocess_mode="livesum"
)
COMMIT_SECONDS: Final = Histogram(
    "intelgraph_ingest_commit_seconds",
    "Time of a transaction that committed, from asking for a connection to the answer to COMMIT, in seconds",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
RECENT_COMMITS: Final[deque[tuple[float, float]]] = deque(maxlen=1024)
"""The last commits of this process: when each ended, by `time.monotonic`, and what it took, in seconds."""


def observe_commit(seconds: float) -> None:
    """Counts a transaction that committed just now."""
    COMMIT_SECONDS.observe(seconds)
    RECENT_COMMITS.append((time.monotonic(), seconds))


COMMITS_RETRIED: Final = Counter(
    "intelgraph_ingest_commits_retried", "Commits that were tried again after PostgreSQL failed"
)
COMMITS_CONFIRMED: Final = Counter(
    "intelgraph_ingest_commits_confirmed",
    "Commits whose answer was lost and that were found to have happened",
)

_CACHED_HEADS: Final = Gauge(
    "intelgraph_ingest_cached_heads",
    "Newest versions of entities that are in memory",
    multiprocess_mode="livesum",
)
_CACHED_BYTES: Final = Gauge(
    "intelgraph_ingest_cached_bytes",
    "Bytes that the newest versions of entities keep in memory",
    multiprocess_mode="livesum",
)
_HEADS: Final = Counter(
    "intelgraph_ingest_heads",
    "Records by where the newest version of their entity came from (held in memory, fetched from PostgreSQL)",
    ("met",),
)
_RECORDS: Final = Counter(
    "intelgraph_ingest_records",
    "Records of acknowledged batches, by what became of them (accepted, unchanged, duplicate, quarantined)",
    ("outcome",),
)
_BATCHES: Final = Counter(
    "intelgraph_ingest_batches",
    "Batches by outcome: acknowledged; rejected for what they are; handed_back, to be sent again",
    ("outcome",),
)
_GROUP_BATCHES: Final = Histogram(
    "intelgraph_ingest_commit_batches",
    "Batches that were committed together",
    buckets=(1, 2, 4, 8, 16, 32, 64),
)
_GROUP_RECORDS: Final = Histogram(
    "intelgraph_ingest_commit_records",
    "Records that were committed together",
    buckets=(1, 10, 100, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000),
)
# Bound once: looking a label up costs more than counting.
_OUTCOMES: Final = tuple(
    _RECORDS.labels(outcome) for outcome in ("accepted", "unchanged", "duplicate", "quarantined")
)
_ACKNOWLEDGED: Final = _BATCHES.labels("acknowledged")
_HELD: Final = _HEADS.labels("held")
_FETCHED: Final = _HEADS.labels("fetched")
REJECTED: Final = _BATCHES.labels("rejected")
HANDED_BACK: Final = _BATCHES.labels("handed_back")


def count_group(bound: Bound, rejected: int) -> None:
    """Counts a group that is committed; `rejected` of its batches had their sequence used up and nothing else."""
    outcomes = bound.outcomes
    for counter, records in zip(_OUTCOMES, outcomes, strict=True):
        counter.inc(records)
    acknowledged = len(bound.quarantining)
    _ACKNOWLEDGED.inc(acknowledged)
    REJECTED.inc(rejected)
    _GROUP_BATCHES.observe(acknowledged + rejected)
    _GROUP_RECORDS.observe(sum(outcomes))


class HeadsMeter:
    """Carries the core's totals of heads over into the series."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._held, self._fetched = engine.lookups()

    def measure(self) -> None:
        """Counts what came since the last time, and takes what is cached now."""
        held, fetched = self._engine.lookups()
        _HELD.inc(held - self._held)
        _FETCHED.inc(fetched - self._fetched)
        self._held, self._fetched = held, fetched
        heads, size = self._engine.cached_of_all()
        _CACHED_HEADS.set(heads)
        _CACHED_BYTES.set(size)
