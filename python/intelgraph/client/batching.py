"""Gathers encoded records into batches that keep the gateway's limits."""

from __future__ import annotations

from dataclasses import dataclass, field

from intelgraph.client.frames import BATCH_OVERHEAD, batch_frame
from intelgraph.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How large a batch may get: the gateway's limits, and the size at which one is sent without waiting."""

    target_bytes: int
    max_bytes: int
    max_records: int


@dataclass(slots=True)
class Batch:
    """A batch in its final bytes. It keeps its sequence and its bytes however often it is sent."""

    sequence: int
    frame: bytes = field(repr=False)
    records: int
    first_record: int
    """Ordinal of its first record among all that the stream was given, from 0."""
    first_sent: float | None = None
    """Monotonic seconds at which it was first sent."""

    @property
    def size(self) -> int:
        """Bytes of the message that carries it; what credit and limits count."""
        return len(self.frame)


class BatchBuilder:
    """The batch that is being filled. Not thread-safe."""

    def __init__(self, limits: BatchLimits) -> None:
        self.limits = limits
        self._records: list[bytes] = []
        self._bytes = 0
        self._taken = 0

    @property
    def records(self) -> int:
        """Number of records waiting."""
        return len(self._records)

    @property
    def records_taken(self) -> int:
        """Number of records ever added."""
        return self._taken

    @property
    def is_full(self) -> bool:
        """Whether the batch has reached the size at which it is sent without waiting for more."""
        return self._bytes >= self.limits.target_bytes or len(self._records) >= self.limits.max_records

    def fits(self, record: bytes) -> bool:
        """Whether the batch stays within the gateway's limits with this record."""
        return (
            self._bytes + len(record) + BATCH_OVERHEAD <= self.limits.max_bytes
            and len(self._records) < self.limits.max_records
        )

    def add(self, record: bytes) -> None:
        """Adds a record that fits.

        Raises InvalidArgument (RECORD_TOO_LARGE) for a record that no batch can hold.
        """
        if len(record) + BATCH_OVERHEAD > self.limits.max_bytes:
            raise InvalidArgument(
                reason="RECORD_TOO_LARGE",
                message=f"record {self._taken} has {len(record)} bytes; {self.limits.max_bytes} fit a batch",
                fix="split the record, or ask the operator to raise the limit of a batch",
                metadata={"record_index": str(self._taken)},
            )
        self._records.append(record)
        self._bytes += len(record)
        self._taken += 1

    def take(self, sequence: int) -> Batch:
        """The records gathered so far as a batch; the builder is empty afterwards."""
        count = len(self._records)
        batch = Batch(
            sequence=sequence,
            frame=batch_frame(sequence, self._records, self._bytes),
            records=count,
            first_record=self._taken - count,
        )
        self._records = []
        self._bytes = 0
        return batch
