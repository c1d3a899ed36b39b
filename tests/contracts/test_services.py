"""The services of contracts and quarantine: the caller's tenant, pages by token, reports as messages."""

import json
from typing import Any

import pytest

from intelgraph.contracts.publishing import ContractPublisher
from intelgraph.contracts.quarantine import OpenedEntry, Quarantine, SealedEntry
from intelgraph.contracts.registry import ContractRegistry
from intelgraph.errors import InvalidArgument, NotFound
from intelgraph.gateway.contract_service import MAX_RECORDS, ContractService
from intelgraph.gateway.identity import Identity, current_identity
from intelgraph.gateway.quarantine_service import QuarantineService
from intelgraph.gateway.v1 import contract_pb2, quarantine_pb2
from intelgraph.provenance.ledger import Ledger
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import Tenant
from tests.contracts.documents import document
from tests.contracts.test_quarantine import store_entries

CONTEXT: Any = None  # the handlers do not look at it


@pytest.fixture
def service(contracts: ContractRegistry, publisher: ContractPublisher) -> ContractService:
    return ContractService(contracts, publisher)


def _call_as(tenant: Tenant) -> None:
    identity = Identity(tenant, "someone", frozenset({"operator"}), float("inf"), "jwt")
    current_identity.set(identity)


async def test_a_contract_goes_round_trip(service: ContractService, tenant: Tenant) -> None:
    _call_as(tenant)
    answer = await service.UpsertContract(
        contract_pb2.UpsertContractRequest(document=document(tenant=tenant.name)), CONTEXT
    )
    assert answer.created
    found = await service.GetContract(contract_pb2.GetContractRequest(dataset="flights"), CONTEXT)
    assert found.contract == answer.contract
    assert found.contract.published_us > 1_700_000_000_000_000
    again = await service.UpsertContract(
        contract_pb2.UpsertContractRequest(document=found.contract.document), CONTEXT
    )
    assert not again.created


async def test_contracts_are_listed_page_by_page(
    service: ContractService, tenant: Tenant, stranger: Tenant
) -> None:
    _call_as(tenant)
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        await service.UpsertContract(
            contract_pb2.UpsertContractRequest(document=document(version=version)), CONTEXT
        )
    request = contract_pb2.ListContractsRequest(page_size=2)
    first = await service.ListContracts(request, CONTEXT)
    request.page_token = first.next_page_token
    second = await service.ListContracts(request, CONTEXT)
    listed = [contract.version for page in (first, second) for contract in page.contracts]
    assert listed == ["1.2.0", "1.1.0", "1.0.0"]
    assert second.next_page_token == ""
    _call_as(stranger)
    with pytest.raises(InvalidArgument) as caught:
        await service.ListContracts(request, CONTEXT)
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize("published", [True, False])
async def test_records_are_checked_without_being_stored(
    service: ContractService, tenant: Tenant, published: bool
) -> None:
    _call_as(tenant)
    request = contract_pb2.ValidateRecordsRequest(
        records=[b'{"id":"a","delay":1}', b'{"id":"b","delay":"bad"}', b'{"id":"c"}', b"bad"]
    )
    if published:
        await service.UpsertContract(contract_pb2.UpsertContractRequest(document=document()), CONTEXT)
        request.published.dataset = "flights"
    else:
        request.document = document()
    answer = await service.ValidateRecords(request, CONTEXT)
    assert (answer.valid, answer.invalid) == (2, 2)
    assert len(answer.report.contract_digest) == 32
    assert {index for group in answer.report.violations for index in group.record_indexes} == {1, 3}
    assert all(group.rule and group.fix and group.found for group in answer.report.violations)
    assert b"bad" not in answer.SerializeToString()


async def test_a_check_needs_a_contract_and_has_a_bound(service: ContractService, tenant: Tenant) -> None:
    _call_as(tenant)
    for request, reason in (
        (contract_pb2.ValidateRecordsRequest(records=[b"{}"]), "CONTRACT_MISSING"),
        (
            contract_pb2.ValidateRecordsRequest(records=[b"{}"] * (MAX_RECORDS + 1), document=document()),
            "TOO_MANY_RECORDS",
        ),
        (contract_pb2.ValidateRecordsRequest(records=[b"{}"], document=b"{}"), "CONTRACT_INVALID"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            await service.ValidateRecords(request, CONTEXT)
        assert caught.value.reason == reason


class Reports:
    """Stands where the tenant's keys do."""

    async def open_quarantine(self, tenant: Tenant, sealed: SealedEntry) -> OpenedEntry:
        row = {
            "rule": "type", "instance": "/delay", "schema": "/schema/properties/delay/type", "fix": "mend it",
            "found": [{"type": "string", "class": "digits", "count": 2, "minLength": 1, "maxLength": 3}],
        }  # fmt: skip
        report = {
            "contract": {"digest": "sha256:" + "ab" * 32},
            "rows": [row | {"count": 1, "records": [4]}, row | {"rule": "const", "count": 9, "records": [1]}],
            "omittedViolations": 3,
        }
        return OpenedEntry(json.dumps(report).encode(), [record.sealed for record in sealed.records])


async def test_quarantine_is_listed_and_shown(
    publisher: ContractPublisher, database: Database, ledger: Ledger, tenant: Tenant, stranger: Tenant
) -> None:
    service = QuarantineService(Quarantine(database, Reports(), ledger))
    stored = await store_entries(database, publisher, tenant, entries=3)
    _call_as(tenant)
    request = quarantine_pb2.ListQuarantineRequest(page_size=2)
    first = await service.ListQuarantine(request, CONTEXT)
    request.page_token = first.next_page_token
    second = await service.ListQuarantine(request, CONTEXT)
    listed = [entry.quarantine_id for page in (first, second) for entry in page.entries]
    assert sorted(listed) == sorted(str(identifier) for identifier in stored)
    assert (first.total_records, second.next_page_token) == (9, "")
    assert first.entries[0].state == quarantine_pb2.QUARANTINE_STATE_QUARANTINED

    wanted = quarantine_pb2.GetQuarantineRequest(quarantine_id=listed[0], with_records=True)
    shown = await service.GetQuarantine(wanted, CONTEXT)
    assert shown.entry == first.entries[0]
    assert [record.index for record in shown.records] == [0, 5, 9]
    assert shown.report.contract_digest == b"\xab" * 32
    assert shown.report.omitted_violations == 3
    assert [group.rule for group in shown.report.violations] == ["const", "type"]
    assert shown.report.violations[0].found == "string, digits, length 1 to 3 (2 times)"

    _call_as(stranger)
    with pytest.raises(NotFound):
        await service.GetQuarantine(wanted, CONTEXT)
    with pytest.raises(InvalidArgument):
        await service.GetQuarantine(quarantine_pb2.GetQuarantineRequest(quarantine_id="x"), CONTEXT)
