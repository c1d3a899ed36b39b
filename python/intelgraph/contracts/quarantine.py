"""What broke its contract: entries of one batch each, with a sealed report. An entry is of records that wait, which are
sealed with it, or of changes that were stored all the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

from intelgraph.errors import NotFound
from intelgraph.provenance.kinds.spine import QuarantineOpened

if TYPE_CHECKING:
    from intelgraph.provenance.actor import Actor
    from intelgraph.provenance.ledger import Ledger
    from intelgraph.storage.database import Database
    from intelgraph.tenants.registry import Tenant


CHANGES_SHOWN: Final = 1000
"""Changes of an entry that are named."""


class EntryState(Enum):
    """What became of an entry's records."""

    QUARANTINED = "quarantined"
    """They wait."""
    STORED = "stored"
    """They are changes of the log, for the contract only warned."""


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """The violating records of one batch, as far as nothing of them is sealed."""

    quarantine_id: UUID
    dataset: str
    contract_version: str
    contract_digest: bytes
    stream_id: str
    producer: str
    sequence: int
    records: int
    """Records that wait with the entry; one that waited already is not stored again. Or changes."""
    recorded_us: int
    state: str


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """A record; its fingerprint is part of what it was sealed with."""

    record_index: int
    fingerprint: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class SealedEntry:
    """What of an entry is sealed."""

    quarantine_id: UUID
    dataset: str
    report: bytes
    records: Sequence[SealedRecord]


@dataclass(frozen=True, slots=True)
class StoredChange:
    """A change that stores a record which broke its contract."""

    seq: int
    entity_id: UUID


@dataclass(frozen=True, slots=True)
class OpenedEntry:
    """What of an entry was sealed: its report, JSON (`ig.report.v1`), and its records in the same order."""

    report: bytes
    documents: Sequence[bytes]


class Opener(Protocol):
    """Opens what is in quarantine; what the tenant's keys are for."""

    async def open_quarantine(self, tenant: "Tenant", sealed: SealedEntry) -> OpenedEntry:
        """Raises Unavailable while a key cannot be had, and DataLoss for what was altered."""


@dataclass(frozen=True, slots=True)
class EntryPlace:
    """Where an entry stands in a list, newest first."""

    recorded_us: int
    quarantine_id: UUID


@dataclass(frozen=True, slots=True)
class QuarantinePage:
    """Some entries, and how many records there are altogether of that state, in the same dataset or in all."""

    entries: Sequence[QuarantineEntry]
    total_records: int


class Quarantine:
    """Finds entries and has them opened."""

    def __init__(self, database: "Database", opener: Opener, ledger: "Ledger") -> None:
        self._database = database
        self._opener = opener
        self._ledger = ledger

    async def page(
        self,
        tenant: "Tenant",
        dataset: str,
        before: EntryPlace | None,
        limit: int,
        state: EntryState = EntryState.QUARANTINED,
    ) -> QuarantinePage:
        """At most `limit` entries older than `before`, newest first; an empty dataset means all."""
        place = (before.recorded_us, before.quarantine_id) if before is not None else (None, None)
        async with self._database.read(tenant.tenant_id) as connection:
            rows = await connection.fetch(_PAGE, tenant.tenant_id, dataset, *place, limit, state.value)
            total = await connection.fetchval(_TOTAL, tenant.tenant_id, dataset, state.value)
        return QuarantinePage([QuarantineEntry(**row) for row in rows], total)

    async def get(
        self, tenant: "Tenant", quarantine_id: UUID, *, with_records: bool, by: "Actor"
    ) -> tuple[QuarantineEntry, OpenedEntry, Sequence[int]]:
        """An entry, opened, and the indexes of its records within their batch, as many as documents. That `by` was
        shown them is in the ledger before anything is opened.

        Raises NotFound QUARANTINE_NOT_FOUND, and what the opener raises.
        """
        async with self._database.read(tenant.tenant_id) as connection:
            row = await connection.fetchrow(_ENTRY, tenant.tenant_id, quarantine_id)
            if row is None:
                raise NotFound(
                    "QUARANTINE_NOT_FOUND",
                    f"no entry {quarantine_id} waits in quarantine",
                    fix="`intelgraph quarantine list` shows what waits",
                )
            report = await connection.fetchval(_REPORT, tenant.tenant_id, quarantine_id)
            stored = await connection.fetch(_RECORDS, tenant.tenant_id, quarantine_id) if with_records else []
        entry = QuarantineEntry(**row)
        records = [SealedRecord(**record) for record in stored]
        sealed = SealedEntry(quarantine_id, entry.dataset, report, records)
        await self._record_opening(tenant, entry, by, with_records=with_records)
        opened = await self._opener.open_quarantine(tenant, sealed)
        return entry, opened, [record.record_index for record in records]

    async def changes(self, tenant: "Tenant", quarantine_id: UUID) -> Sequence[StoredChange]:
        """The changes that an entry is about, the first thousand; none of an entry whose records wait."""
        async with self._database.read(tenant.tenant_id) as connection:
            rows = await connection.fetch(_CHANGES, tenant.tenant_id, quarantine_id, CHANGES_SHOWN)
        return [StoredChange(**row) for row in rows]

    async def _record_opening(
        self, tenant: "Tenant", entry: QuarantineEntry, by: "Actor", *, with_records: bool
    ) -> None:
        facts = QuarantineOpened(entry.dataset, str(entry.quarantine_id), with_records)
        await self._ledger.ready()
        async with self._database.write() as connection:
            await self._ledger.append(
                connection, facts, subject=f"quarantine:{entry.quarantine_id}", by=by, tenant=tenant
            )


_SELECT: Final = """
SELECT entry.quarantine_id, dataset.name AS dataset, contract.version AS contract_version,
  contract.digest AS contract_digest, stream.stream_id, stream.producer, entry.batch_sequence AS sequence,
  entry.records, (extract(epoch FROM entry.recorded) * 1000000)::bigint AS recorded_us, entry.state
FROM quarantine AS entry
JOIN dataset ON dataset.tenant_id = $1 AND dataset.dataset_id = entry.dataset_id
JOIN contract ON contract.tenant_id = $1 AND contract.contract_id = entry.contract_id
JOIN ingest_stream AS stream ON stream.tenant_id = $1 AND stream.stream_no = entry.stream_no
WHERE entry.tenant_id = $1
"""

_ENTRY: Final = f"{_SELECT} AND entry.quarantine_id = $2"

_PAGE: Final = f"""
{_SELECT} AND entry.state = $6 AND ($2::text = '' OR dataset.name = $2)
  AND (entry.recorded, entry.quarantine_id) < (
    (SELECT coalesce(timestamptz 'epoch' + interval '1 microsecond' * $3::bigint, 'infinity')),
    (SELECT coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')))
ORDER BY entry.recorded DESC, entry.quarantine_id DESC LIMIT $5
"""

_TOTAL: Final = """
SELECT coalesce(sum(entry.records), 0)::bigint FROM quarantine AS entry
WHERE entry.tenant_id = $1 AND entry.state = $3 AND ($2::text = '' OR entry.dataset_id = (
  SELECT dataset_id FROM dataset WHERE dataset.tenant_id = $1 AND dataset.name = $2))
"""

_REPORT: Final = "SELECT report FROM quarantine WHERE tenant_id = $1 AND quarantine_id = $2"

_CHANGES: Final = """
SELECT log.seq, log.entity_id
FROM quarantine AS entry
CROSS JOIN LATERAL (
  SELECT ('x' || encode(substring(entry.changes FROM 8 * i + 1 FOR 8), 'hex'))::bit(64)::bigint AS seq
  FROM generate_series(0, octet_length(entry.changes) / 8 - 1) AS i LIMIT $3
) AS named
JOIN entity_change_log AS log ON log.tenant_id = $1 AND log.seq = named.seq
WHERE entry.tenant_id = $1 AND entry.quarantine_id = $2
ORDER BY log.seq
"""

_RECORDS: Final = """
SELECT record_index, fingerprint, sealed FROM quarantine_record
WHERE tenant_id = $1 AND quarantine_id = $2 ORDER BY record_index, fingerprint
"""
