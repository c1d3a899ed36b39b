"""Records that broke their contract: those that wait for a person, and those that were stored all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING
from uuid import UUID

from intelgraph.client.contracts import ViolationReport, violation_report
from intelgraph.client.times import from_us
from intelgraph.gateway.v1 import quarantine_pb2, quarantine_pb2_grpc

if TYPE_CHECKING:
    from datetime import datetime

    import grpc

    from intelgraph.client.calls import Caller


class QuarantineState(IntEnum):
    """State of an entry."""

    QUARANTINED = quarantine_pb2.QUARANTINE_STATE_QUARANTINED
    """Its records wait."""
    STORED = quarantine_pb2.QUARANTINE_STATE_STORED
    """Its records are changes of the log, for the contract only warned."""


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """The violating records of one batch."""

    quarantine_id: UUID
    dataset: str
    stream_id: str
    sequence: int
    producer: str
    records: int
    """Number of records that wait with the entry, or that were stored as changes."""
    recorded_us: int
    """Microseconds since the Unix epoch."""
    contract_version: str
    state: QuarantineState

    @property
    def recorded(self) -> datetime:
        """When it was recorded."""
        return from_us(self.recorded_us)


@dataclass(frozen=True, slots=True)
class QuarantinedRecord:
    """A record as it was received."""

    index: int
    """Its index in its batch."""
    document: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredChange:
    """A change that stores a record which broke its contract."""

    seq: int
    entity_id: UUID


@dataclass(frozen=True, slots=True)
class QuarantineDetail:
    """An entry with its report, and its records where they were asked for."""

    entry: QuarantineEntry
    report: ViolationReport
    records: tuple[QuarantinedRecord, ...]
    changes: tuple[StoredChange, ...] = ()
    """What its records were stored as, where asked for; the first thousand."""


class Quarantine:
    """Reads the quarantine."""

    def __init__(self, channel: grpc.aio.Channel, caller: Caller) -> None:
        self._stub = quarantine_pb2_grpc.QuarantineServiceStub(channel)
        self._caller = caller

    async def list(
        self, dataset: str = "", *, stored: bool = False, timeout: float | None = None
    ) -> AsyncIterator[QuarantineEntry]:
        """Entries whose records wait, or were `stored` all the same, newest first, of one dataset or of all."""
        token = ""
        while True:
            request = quarantine_pb2.ListQuarantineRequest(
                dataset=dataset, page_size=500, page_token=token, state=_state(stored=stored)
            )
            page = await self._caller.call(self._stub.ListQuarantine, request, timeout)
            for entry in page.entries:
                yield _entry(entry)
            token = page.next_page_token
            if not token:
                return

    async def total_records(
        self, dataset: str = "", *, stored: bool = False, timeout: float | None = None
    ) -> int:
        """Number of records that wait, or were `stored` all the same, of one dataset or of all."""
        request = quarantine_pb2.ListQuarantineRequest(
            dataset=dataset, page_size=1, state=_state(stored=stored)
        )
        return (await self._caller.call(self._stub.ListQuarantine, request, timeout)).total_records

    async def get(
        self, quarantine_id: UUID, *, with_records: bool = False, timeout: float | None = None
    ) -> QuarantineDetail:
        """An entry with its report and, where asked for, its decrypted records. Raises NotFound."""
        request = quarantine_pb2.GetQuarantineRequest(
            quarantine_id=str(quarantine_id), with_records=with_records
        )
        response = await self._caller.call(self._stub.GetQuarantine, request, timeout)
        return QuarantineDetail(
            entry=_entry(response.entry),
            report=violation_report(response.report),
            records=tuple(QuarantinedRecord(record.index, record.document) for record in response.records),
            changes=tuple(StoredChange(change.seq, UUID(change.entity_id)) for change in response.changes),
        )


def _state(*, stored: bool) -> quarantine_pb2.QuarantineState.ValueType:
    return quarantine_pb2.QUARANTINE_STATE_STORED if stored else quarantine_pb2.QUARANTINE_STATE_QUARANTINED


def _entry(entry: quarantine_pb2.QuarantineEntry) -> QuarantineEntry:
    return QuarantineEntry(
        quarantine_id=UUID(entry.quarantine_id),
        dataset=entry.dataset,
        stream_id=entry.stream_id,
        sequence=entry.sequence,
        producer=entry.producer,
        records=entry.records,
        recorded_us=entry.recorded_us,
        contract_version=entry.contract_version,
        state=QuarantineState(entry.state),
    )
