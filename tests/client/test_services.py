"""The services beside ingest: what is asked on the wire, and what comes back in the client's terms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest

from intelgraph import errors
from intelgraph.client import (
    AsOf,
    AsyncClient,
    DeadlineExceeded,
    Operation,
    RetryPolicy,
    TenantLimits,
    TenantState,
    Unimplemented,
)
from tests.client.fake_gateway import serving
from tests.client.fake_services import ENTITY_ID, QUARANTINE_ID, FakeServices


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
async def client(services: FakeServices) -> AsyncIterator[AsyncClient]:
    async with (
        serving(*services.servicers()) as address,
        AsyncClient(address, retry=RetryPolicy(5.0)) as opened,
    ):
        yield opened


async def test_get_names_the_entity_and_the_moment(client: AsyncClient, services: FakeServices) -> None:
    moment = datetime(1970, 1, 1, 0, 0, 7, tzinfo=UTC)
    version = await client.entities.get("weather", {"origin": "EWR"}, AsOf(recorded=5, valid=moment))
    (request,) = services.entities.requests
    assert request.entity.key == b'{"origin":"EWR"}'
    assert (request.as_of.recorded_us, request.as_of.valid_us) == (5, 7_000_000)
    assert version.json() == {"temp": 1}
    assert version.operation is Operation.UPDATE
    assert version.valid_at == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert "temp" not in repr(version)


async def test_an_entity_may_be_named_by_its_id(client: AsyncClient, services: FakeServices) -> None:
    await client.entities.get("weather", UUID(ENTITY_ID))
    (request,) = services.entities.requests
    assert request.entity.entity_id == ENTITY_ID
    assert not request.HasField("as_of")


async def test_diff_tells_an_unknown_version_from_an_empty_one(client: AsyncClient) -> None:
    diff = await client.entities.diff("weather", "EWR", AsOf(valid=0))
    assert diff.before is None
    assert diff.after is not None
    assert diff.changes == b'[["a","/temp",1]]'


async def test_history_fetches_page_after_page(client: AsyncClient, services: FakeServices) -> None:
    entries = [entry async for entry in client.entities.history("weather", "EWR", page_size=2)]
    assert [entry.version.seq for entry in entries] == [5, 4, 3, 2, 1]
    assert [request.page_token for request in services.entities.requests] == ["", "3", "1"]


async def test_changes_go_on_where_the_connection_broke(client: AsyncClient, services: FakeServices) -> None:
    feed = client.entities.changes(datasets=["weather"], until_now=True)
    seen = []
    async for entry in feed:
        seen.append(entry.version.seq)
        assert feed.resume_after_seq == entry.version.seq
    assert seen == [1, 3, 5, 7, 9]
    assert feed.resume_after_seq == 10
    assert [request.after_seq for request in services.entities.requests] == [0, 6]


async def test_changes_come_in_batches_too(client: AsyncClient) -> None:
    feed = client.entities.changes(4, until_now=True)
    seen = []
    while batch := await feed.batch():
        seen += [entry.version.seq for entry in batch]
    assert seen == [5, 7, 9]
    assert feed.resume_after_seq == 10


async def test_a_feed_says_once_that_the_gateway_is_away_and_once_that_it_is_back(
    client: AsyncClient, services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    services.entities.cuts_before_answer = 4
    assert [entry.version.seq async for entry in client.entities.changes(8, until_now=True)] == [9]
    assert len(services.entities.requests) == 5
    away, back = [record.getMessage() for record in caplog.records if record.name == "intelgraph.client"]
    assert "GATEWAY_UNREACHABLE" in away
    assert "fix: check that the gateway is running" in away
    assert "back" in back


async def test_a_gateway_that_restarts_is_asked_again(client: AsyncClient, services: FakeServices) -> None:
    services.entities.unavailable = 2
    assert (await client.entities.get("weather", "EWR")).seq == 1
    assert len(services.entities.requests) == 3


async def test_a_refusal_keeps_reason_and_fix(client: AsyncClient) -> None:
    with pytest.raises(errors.NotFound) as refused:
        await client.entities.get("unknown", "EWR")
    assert (refused.value.reason, refused.value.fix) == ("ENTITY_UNKNOWN", "check the key")


async def test_a_deadline_is_kept(client: AsyncClient, services: FakeServices) -> None:
    services.entities.delay = 5.0
    with pytest.raises(DeadlineExceeded):
        await client.entities.get("weather", "EWR", timeout=0.05)


async def test_contracts(client: AsyncClient) -> None:
    published = await client.contracts.put(b'{"dataset":"weather"}')
    assert published.created
    assert published.contract.version == "1.0.0"
    assert (await client.contracts.get("weather")).version == "1.1.0"
    assert [contract.version async for contract in client.contracts.list()] == ["1.1.0", "1.0.0"]
    with pytest.raises(errors.InvalidArgument) as refused:
        await client.contracts.put(b"{}")
    assert refused.value.violations[0].pointer == "/mapping"


async def test_validation_reports_places_not_values(client: AsyncClient) -> None:
    validation = await client.contracts.validate([b"{}", b"{}"], "weather")
    assert (validation.valid, validation.invalid) == (1, 1)
    (violation,) = validation.report.violations
    assert (violation.rule, violation.instance_pointer, violation.count) == ("published", "/tailnum", 3)
    validation = await client.contracts.validate_against([b"{}"], b'{"schema":{}}')
    assert validation.report.violations[0].rule == "document"


async def test_quarantine(client: AsyncClient) -> None:
    (entry,) = [entry async for entry in client.quarantine.list("flights")]
    assert entry.quarantine_id == UUID(QUARANTINE_ID)
    assert await client.quarantine.total_records() == 2512
    assert (await client.quarantine.get(entry.quarantine_id)).records == ()
    detail = await client.quarantine.get(entry.quarantine_id, with_records=True)
    assert [(record.index, record.document) for record in detail.records] == [(4, b"{}")]


async def test_an_envelope_that_does_not_open_does_not_spoil_the_others(client: AsyncClient) -> None:
    sealed = await client.envelopes.encrypt([b"abc", b""], b"context")
    opened = await client.envelopes.decrypt([sealed[0], b"forged", sealed[1]], b"context")
    assert opened[0] == b"abc"
    assert isinstance(opened[1], errors.InvalidArgument)
    assert opened[2] == b""


async def test_tenants(client: AsyncClient) -> None:
    tenant = await client.tenants.create("acme", TenantLimits(streams=4))
    assert tenant.limits == TenantLimits(streams=4)
    assert (
        await client.tenants.set_limits("acme", TenantLimits(records_per_second=0))
    ).limits == TenantLimits(records_per_second=0)
    assert [tenant.name async for tenant in client.tenants.list()] == ["local"]
    assert (await client.tenants.suspend("acme")).state is TenantState.SUSPENDED
    assert (await client.tenants.resume("acme")).state is TenantState.ACTIVE
    assert (await client.tenants.offboard("acme")).state is TenantState.OFFBOARDED


async def test_a_method_the_gateway_does_not_know() -> None:
    async with serving() as address, AsyncClient(address) as client:
        with pytest.raises(Unimplemented):
            await client.contracts.get("weather")
