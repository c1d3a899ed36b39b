"""The client without an event loop: the same behaviour, on the caller's thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from uuid import UUID

import pytest
from anyio.from_thread import start_blocking_portal

from intelgraph import errors
from intelgraph.client import AsOf, Client, Delete, Outcome, RetryPolicy, TenantLimits
from tests.client.fake_gateway import FakeGateway, Reaction, ingest, serving
from tests.client.fake_services import QUARANTINE_ID, FakeServices


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def client(gateway: FakeGateway) -> Iterator[Client]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(ingest(gateway), *FakeServices().servicers())) as address,
        Client(address, retry=RetryPolicy(5.0, 0.1)) as opened,
    ):
        yield opened


def test_streams_from_an_iterator_of_the_callers_thread(client: Client, gateway: FakeGateway) -> None:
    threads: set[threading.Thread] = set()

    def records() -> Iterator[dict[str, str]]:
        for number in range(5000):
            threads.add(threading.current_thread())
            yield {"n": str(number), "text": "x" * 100}

    with client.stream("weather", "s", producer="test") as stream:
        assert stream.send(records()) == 5000
        assert stream.send(Delete("EWR")) == 1
        totals = stream.flush()
        assert stream.unanswered_records == 0
        assert stream.contract_version == "1.0.0"
    assert threads == {threading.current_thread()}
    assert (totals.sent, totals.accepted) == (5001, 5001)
    assert len(gateway.streams["s"].documents) == 5000


def test_resumes_after_a_disconnect(client: Client, gateway: FakeGateway) -> None:
    reactions = iter([Reaction.COMMIT_AND_DROP, Reaction.DROP_BEFORE_COMMIT])
    gateway.react = lambda sequence: next(reactions, Reaction.COMMIT)
    with client.stream("weather", "s", producer="test") as stream:
        for number in range(3):
            stream.send([b'{"n":%d}' % number])
            stream.flush()
        assert stream.reconnects == 2
    assert gateway.streams["s"].documents == [b'{"n":%d}' % number for number in range(3)]


def test_outcomes_are_read_on_another_thread(client: Client) -> None:
    outcomes: list[Outcome] = []
    with client.stream("weather", "s", producer="test") as stream:
        iterator = stream.outcomes()
        reader = threading.Thread(target=lambda: outcomes.extend(iterator))
        reader.start()
        stream.send([b"{}"] * 3)
        stream.flush()
    reader.join(5)
    assert sum(outcome.accepted for outcome in outcomes) == 3


def test_a_record_that_is_not_json_spares_those_before_it(client: Client, gateway: FakeGateway) -> None:
    with client.stream("weather", "s", producer="test") as stream:
        with pytest.raises(errors.InvalidArgument) as refused:
            stream.send([b"{}", {"n": object()}])
        assert refused.value.metadata == {"record_index": "1"}
        assert stream.flush().sent == 1


def test_leaving_with_an_exception_abandons_what_waits(client: Client, gateway: FakeGateway) -> None:
    gateway.answering.clear()

    def interrupted() -> Iterator[bytes]:
        yield b"{}"
        raise KeyError

    with pytest.raises(KeyError), client.stream("weather", "s", producer="test") as stream:
        stream.send(interrupted())
    assert not gateway.streams["s"].documents


def test_every_service_has_its_blocking_form(client: Client) -> None:
    assert client.entities.get("weather", "EWR").seq == 1
    assert client.entities.diff("weather", "EWR", AsOf(valid=0)).as_of_seq == 9
    assert [entry.version.seq for entry in client.entities.history("weather", "EWR")] == [5, 4, 3, 2, 1]
    feed = client.entities.changes(until_now=True)
    assert [entry.version.seq for entry in feed] == [1, 3, 5, 7, 9]
    assert feed.resume_after_seq == 10
    assert client.contracts.put(b'{"dataset":"weather"}').created
    assert client.contracts.get("weather").version == "1.1.0"
    assert len(list(client.contracts.list())) == 2
    assert client.contracts.validate([b"{}"], "weather").invalid == 1
    assert client.contracts.validate_against([b"{}"], b"{}").invalid == 1
    assert len(list(client.quarantine.list())) == 1
    assert client.quarantine.total_records() == 2512
    assert client.quarantine.get(UUID(QUARANTINE_ID)).entry.records == 3
    assert client.envelopes.decrypt(client.envelopes.encrypt([b"abc"], b"c"), b"c") == [b"abc"]
    assert client.tenants.create("acme", TenantLimits(streams=1)).name == "acme"
    assert client.tenants.set_limits("acme", TenantLimits(streams=2)).limits.streams == 2
    assert [tenant.name for tenant in client.tenants.list()] == ["local"]
    assert client.tenants.suspend("acme").name == "acme"
    assert client.tenants.resume("acme").name == "acme"
    assert client.tenants.offboard("acme").name == "acme"


def test_a_refusal_is_raised_on_the_callers_thread(client: Client) -> None:
    with pytest.raises(errors.NotFound, match="ENTITY_UNKNOWN"):
        client.entities.get("unknown", "EWR")


def test_a_client_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="context manager"):
        Client("127.0.0.1:1").contracts.get("weather")
