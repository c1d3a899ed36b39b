"""Contracts are published once and found by version."""

import asyncio
import hashlib
import json

import pytest

from intelgraph.contracts.publishing import ContractPublisher
from intelgraph.contracts.registry import ContractPlace, ContractRegistry
from intelgraph.errors import AlreadyExists, DataLoss, InvalidArgument, NotFound, PermissionDenied
from intelgraph.storage.settings import StorageSettings
from intelgraph.tenants.registry import Tenant
from tests.contracts.documents import document
from tests.parts.ledger import TESTER
from tests.retention.runs import owner


async def test_a_contract_is_stored_in_canonical_form_under_its_digest(
    contracts: ContractRegistry, publisher: ContractPublisher, tenant: Tenant
) -> None:
    done = await publisher.publish(tenant, document(), by=TESTER)
    published = done.contract
    canonical = json.dumps(json.loads(document()), sort_keys=True, separators=(",", ":")).encode()
    assert done.created
    assert published.document == canonical
    assert published.digest == hashlib.sha256(canonical).digest()
    assert (published.dataset, published.version) == ("flights", "1.0.0")
    assert await contracts.get(tenant, "flights", "1.0.0") == published
    assert published.compiled().digest == published.digest


async def test_the_same_document_again_changes_nothing(publisher: ContractPublisher, tenant: Tenant) -> None:
    first = await publisher.publish(tenant, document(), by=TESTER)
    again = await publisher.publish(tenant, json.dumps(json.loads(document())).encode(), by=TESTER)
    assert not again.created
    assert again.contract == first.contract


async def test_a_published_version_never_changes(
    contracts: ContractRegistry, publisher: ContractPublisher, tenant: Tenant
) -> None:
    published = (await publisher.publish(tenant, document(), by=TESTER)).contract
    with pytest.raises(AlreadyExists) as caught:
        await publisher.publish(tenant, document(purpose=["something else"]), by=TESTER)
    assert caught.value.reason == "CONTRACT_VERSION_PUBLISHED"
    assert await contracts.get(tenant, "flights", "1.0.0") == published


async def test_a_document_that_is_not_the_published_one_is_refused(
    contracts: ContractRegistry,
    publisher: ContractPublisher,
    tenant: Tenant,
    storage_settings: StorageSettings,
) -> None:
    await publisher.publish(tenant, document(), by=TESTER)
    async with owner(storage_settings, tenant) as connection:
        await connection.execute(
            "UPDATE contract SET document = convert_to($1, 'UTF8')", document(retention="short-30d").decode()
        )
    for reading in (
        contracts.get(tenant, "flights"),
        contracts.get(tenant, "flights", "1.0.0"),
        publisher.publish(tenant, document(), by=TESTER),
    ):
        with pytest.raises(DataLoss, match="CONTRACT_ALTERED"):
            await reading


async def test_of_many_who_publish_at_once_one_does_and_numbers_have_no_gap(
    publisher: ContractPublisher, tenant: Tenant
) -> None:
    documents = [document(version=f"1.0.{number % 3}") for number in range(9)]
    outcomes = await asyncio.gather(*(publisher.publish(tenant, each, by=TESTER) for each in documents))
    assert sum(done.created for done in outcomes) == 3
    assert {done.contract.contract_id for done in outcomes} == {1, 2, 3}
    assert {done.contract.dataset_id for done in outcomes} == {1}


async def test_no_version_means_the_newest_release(
    contracts: ContractRegistry, publisher: ContractPublisher, tenant: Tenant
) -> None:
    for version in ("1.10.0", "1.9.0", "2.0.0-rc.1", "0.1.0"):
        await publisher.publish(tenant, document(version=version), by=TESTER)
    assert (await contracts.get(tenant, "flights")).version == "2.0.0-rc.1"
    await publisher.publish(tenant, document(version="2.0.0"), by=TESTER)
    assert (await contracts.get(tenant, "flights")).version == "2.0.0"


async def test_what_is_not_published_is_not_found(
    contracts: ContractRegistry, publisher: ContractPublisher, tenant: Tenant
) -> None:
    await publisher.publish(tenant, document(), by=TESTER)
    for dataset, version in (("flights", "1.0.1"), ("weather", ""), ("", "")):
        with pytest.raises(NotFound) as caught:
            await contracts.get(tenant, dataset, version)
        assert caught.value.reason == "CONTRACT_NOT_FOUND"
    assert await contracts.dataset_id(tenant, "flights") == 1
    with pytest.raises(NotFound):
        await contracts.dataset_id(tenant, "weather")


async def test_another_tenants_contract_is_neither_published_nor_found(
    contracts: ContractRegistry, publisher: ContractPublisher, tenant: Tenant, stranger: Tenant
) -> None:
    with pytest.raises(PermissionDenied) as caught:
        await publisher.publish(stranger, document(tenant=tenant.name), by=TESTER)
    assert caught.value.reason == "TENANT_MISMATCH"
    published = (await publisher.publish(tenant, document(tenant=tenant.name), by=TESTER)).contract
    with pytest.raises(NotFound):
        await contracts.get(stranger, "flights")
    assert await contracts.page(stranger, "", None, 10) == []
    assert await contracts.digests(stranger) == {}
    assert await contracts.digests(tenant) == {1: published.digest}


async def test_what_is_wrong_with_a_document_is_said_by_place(
    contracts: ContractRegistry, publisher: ContractPublisher, tenant: Tenant
) -> None:
    for refused in (b"", b"{", b'{"version": "1.0.0"}', document()[:-1]):
        with pytest.raises(InvalidArgument) as caught:
            await publisher.publish(tenant, refused, by=TESTER)
        assert caught.value.reason == "CONTRACT_INVALID"
        assert caught.value.violations
    assert await contracts.page(tenant, "", None, 10) == []


async def test_pages_hold_every_contract_once_by_dataset_newest_first(
    contracts: ContractRegistry, publisher: ContractPublisher, tenant: Tenant
) -> None:
    versions = ("1.0.0", "1.10.0", "1.2.0", "2.0.0-a")
    for dataset in ("weather", "flights"):
        for version in versions:
            await publisher.publish(tenant, document(dataset=dataset, version=version), by=TESTER)
    newest_first = ["2.0.0-a", "1.10.0", "1.2.0", "1.0.0"]
    expected = [(dataset, version) for dataset in ("flights", "weather") for version in newest_first]
    assert await _listed(contracts, tenant, "", 3) == expected
    assert await _listed(contracts, tenant, "weather", 3) == expected[4:]


async def _listed(
    contracts: ContractRegistry, tenant: Tenant, dataset: str, limit: int
) -> list[tuple[str, str]]:
    listed: list[tuple[str, str]] = []
    after: ContractPlace | None = None
    while page := await contracts.page(tenant, dataset, after, limit):
        assert all(contract.document == b"" for contract in page)
        listed += [(contract.dataset, contract.version) for contract in page]
        after = ContractPlace(*listed[-1])
    return listed
