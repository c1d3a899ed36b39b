"""What waits in quarantine is listed newest first and handed to the opener as it was stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from intelgraph.contracts.publishing import ContractPublisher
from intelgraph.contracts.quarantine import (
    EntryPlace,
    OpenedEntry,
    Quarantine,
    QuarantineEntry,
    SealedEntry,
)
from intelgraph.errors import NotFound
from intelgraph.provenance.ledger import Ledger
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import Tenant
from tests.contracts.documents import document
from tests.parts.ledger import TESTER

FIRST_US = 1_700_000_000_000_001


@dataclass
class Unsealed:
    """Stands where the tenant's keys do; keeps what it was asked to open."""

    asked: list[tuple[UUID, SealedEntry]]

    async def open_quarantine(self, tenant: Tenant, sealed: SealedEntry) -> OpenedEntry:
        self.asked.append((tenant.tenant_id, sealed))
        return OpenedEntry(
            sealed.report.removeprefix(b"sealed "),
            [record.sealed.removeprefix(b"sealed ") for record in sealed.records],
        )


@pytest.fixture
def opener() -> Unsealed:
    return Unsealed([])


@pytest.fixture
def quarantine(database: Database, opener: Unsealed, ledger: Ledger) -> Quarantine:
    return Quarantine(database, opener, ledger)


async def test_pages_hold_every_entry_once_newest_first(
    quarantine: Quarantine, database: Database, publisher: ContractPublisher, tenant: Tenant
) -> None:
    stored = await store_entries(database, publisher, tenant, entries=7)
    listed: list[QuarantineEntry] = []
    before: EntryPlace | None = None
    while (page := await quarantine.page(tenant, "", before, 3)).entries:
        assert page.total_records == 21
        listed += page.entries
        before = EntryPlace(listed[-1].recorded_us, listed[-1].quarantine_id)
    # The two oldest were recorded at the same time: the greater identifier comes first.
    assert [entry.quarantine_id for entry in listed[:5]] == stored[:1:-1]
    assert {entry.quarantine_id for entry in listed[5:]} == set(stored[:2])
    assert listed[5].quarantine_id > listed[6].quarantine_id
    newest = listed[0]
    assert (newest.dataset, newest.contract_version, newest.stream_id) == ("flights", "1.0.0", "s-1")
    assert (newest.producer, newest.sequence, newest.records) == ("test", 6, 3)
    assert (newest.recorded_us, newest.state) == (FIRST_US + 6, "quarantined")


async def test_a_list_of_one_dataset_counts_that_dataset(
    quarantine: Quarantine, database: Database, publisher: ContractPublisher, tenant: Tenant
) -> None:
    await store_entries(database, publisher, tenant, entries=2)
    of_flights = await quarantine.page(tenant, "flights", None, 10)
    of_weather = await quarantine.page(tenant, "weather", None, 10)
    assert (len(of_flights.entries), of_flights.total_records) == (2, 6)
    assert (len(of_weather.entries), of_weather.total_records) == (0, 0)


async def test_an_entry_is_opened_with_its_records_where_asked_for(
    quarantine: Quarantine,
    database: Database,
    publisher: ContractPublisher,
    tenant: Tenant,
    opener: Unsealed,
) -> None:
    _, wanted, _ = await store_entries(database, publisher, tenant, entries=3)
    entry, opened, indexes = await quarantine.get(tenant, wanted, with_records=True, by=TESTER)
    assert (entry.quarantine_id, entry.sequence) == (wanted, 1)
    assert opened == OpenedEntry(b"report 1", [b"record 1 0", b"record 1 5", b"record 1 9"])
    assert indexes == [0, 5, 9]
    ((tenant_id, sealed),) = opener.asked
    assert tenant_id == tenant.tenant_id
    assert (sealed.dataset, sealed.quarantine_id) == ("flights", wanted)
    assert [record.fingerprint for record in sealed.records] == _fingerprints(1)

    _, opened, indexes = await quarantine.get(tenant, wanted, with_records=False, by=TESTER)
    assert (opened.report, opened.documents, indexes) == (b"report 1", [], [])
    assert opener.asked[-1][1].records == []


async def test_another_tenants_entry_is_not_there(
    quarantine: Quarantine,
    database: Database,
    publisher: ContractPublisher,
    tenant: Tenant,
    stranger: Tenant,
    opener: Unsealed,
) -> None:
    (stored,) = await store_entries(database, publisher, tenant, entries=1)
    for asker, wanted in ((stranger, stored), (tenant, uuid4())):
        with pytest.raises(NotFound) as caught:
            await quarantine.get(asker, wanted, with_records=True, by=TESTER)
        assert caught.value.reason == "QUARANTINE_NOT_FOUND"
    assert opener.asked == []
    of_stranger = await quarantine.page(stranger, "", None, 10)
    assert (of_stranger.entries, of_stranger.total_records) == ([], 0)


def _fingerprints(number: int) -> list[bytes]:
    return [bytes([number, index]) + bytes(30) for index in (0, 5, 9)]


async def store_entries(
    database: Database, publisher: ContractPublisher, tenant: Tenant, *, entries: int
) -> Sequence[UUID]:
    """Entries of three records each, oldest first; the two oldest at the same time."""
    contract = (await publisher.publish(tenant, document(tenant=tenant.name), by=TESTER)).contract
    identifiers = [uuid4() for _ in range(entries)]
    async with database.write() as connection:
        await connection.execute(
            "INSERT INTO ingest_stream (tenant_id, stream_no, stream_id, dataset_id, producer, source_region)"
            " VALUES ($1, 1, 's-1', $2, 'test', 'eu-1')",
            tenant.tenant_id,
            contract.dataset_id,
        )
        for number, identifier in enumerate(identifiers):
            await connection.execute(
                "INSERT INTO quarantine (tenant_id, quarantine_id, dataset_id, contract_id, stream_no,"
                " records, batch_sequence, recorded, state, report) VALUES ($1, $2, $3, $4, 1, 3, $5,"
                " timestamptz 'epoch' + interval '1 microsecond' * $6::bigint, 'quarantined', $7)",
                tenant.tenant_id,
                identifier,
                contract.dataset_id,
                contract.contract_id,
                number,
                FIRST_US + max(number, 1),
                f"sealed report {number}".encode(),
            )
            await connection.executemany(
                "INSERT INTO quarantine_record (tenant_id, fingerprint, quarantine_id, record_index, sealed)"
                " VALUES ($1, $2, $3, $4, $5)",
                [
                    (tenant.tenant_id, print_, identifier, index, f"sealed record {number} {index}".encode())
                    for print_, index in zip(_fingerprints(number), (0, 5, 9), strict=True)
                ],
            )
    return identifiers
