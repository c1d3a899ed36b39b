"""A stream against a gateway that keeps the wire's rules and breaks connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from intelgraph import errors
from intelgraph.client import AsyncClient, Delete, Outcome, OutcomeStatus, RetryPolicy
from tests.client.fake_gateway import FakeGateway, Reaction, ingest, serving
from tests.client.severed import relay_to
from tests.client.waiting import eventually


@pytest.fixture
def gateway() -> FakeGateway:
    fake = FakeGateway()
    fake.max_batch_records = 3
    return fake


@pytest.fixture
async def client(gateway: FakeGateway) -> AsyncIterator[AsyncClient]:
    async with (
        serving(ingest(gateway)) as address,
        AsyncClient(address, retry=RetryPolicy(10.0, 0.2)) as opened,
    ):
        yield opened


def documents(count: int) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(count)]


async def test_sends_every_form_of_record_in_order(client: AsyncClient, gateway: FakeGateway) -> None:
    async with client.stream("weather", "s", producer="test", source_region="eu-central-1") as stream:
        assert await stream.send([{"n": 0}, '{"n":1}', b'{"n":2}']) == 3
        assert await stream.send({"n": 3}) == 1
        await stream.send(Delete({"n": 1}, valid_at=5))

        async def later() -> AsyncIterator[dict[str, int]]:
            for number in (4, 5):
                await asyncio.sleep(0)
                yield {"n": number}

        await stream.send(later())
        totals = await stream.flush()
    assert gateway.streams["s"].documents == documents(6)
    assert gateway.streams["s"].keys_deleted == [b'{"n":1}']
    assert (totals.sent, totals.accepted) == (7, 7)
    assert gateway.openings[0].source_region == "eu-central-1"
    assert gateway.openings[0].producer == "test"


async def test_sends_a_lone_record_without_flush(client: AsyncClient, gateway: FakeGateway) -> None:
    async with client.stream("weather", "s", producer="test") as stream:
        outcomes = stream.outcomes()
        await stream.send({"n": 0})
        outcome = await asyncio.wait_for(anext(outcomes), 5)
        assert (outcome.sequence, outcome.accepted) == (1, 1)
        assert gateway.streams["s"].documents == documents(1)


async def test_sends_what_an_async_source_has_given_while_it_pauses(
    client: AsyncClient, gateway: FakeGateway
) -> None:
    go_on = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        yield documents(1)[0]
        await go_on.wait()

    async with client.stream("weather", "s", producer="test") as stream:
        outcomes = stream.outcomes()
        sending = asyncio.create_task(stream.send(source()))
        assert (await asyncio.wait_for(anext(outcomes), 5)).records == 1
        go_on.set()
        await sending


@pytest.mark.parametrize("reaction", [Reaction.DROP_BEFORE_COMMIT, Reaction.COMMIT_AND_DROP])
async def test_resumes_after_a_disconnect(
    client: AsyncClient, gateway: FakeGateway, reaction: Reaction
) -> None:
    dropped = False

    def react(sequence: int) -> Reaction:
        nonlocal dropped
        if sequence == 4 and not dropped:
            dropped = True
            return reaction
        return Reaction.COMMIT

    gateway.react = react
    settled: list[Outcome] = []
    async with client.stream("weather", "s", producer="test", on_outcome=settled.append) as stream:
        await stream.send(documents(60))
        totals = await stream.flush()
        assert stream.reconnects == 1
    assert gateway.streams["s"].documents == documents(60)
    assert [outcome.sequence for outcome in settled] == list(range(1, 21))
    lost = 3 if reaction is Reaction.COMMIT_AND_DROP else 0
    assert totals.settled_on_resume == lost
    assert totals.sent == 60 == totals.accepted + totals.settled_on_resume
    assert (settled[3].status is OutcomeStatus.SETTLED_ON_RESUME) == bool(lost)


async def test_resumes_when_connections_are_cut_at_any_moment(gateway: FakeGateway) -> None:
    async with (
        serving(ingest(gateway)) as address,
        relay_to(address) as relay,
        AsyncClient(relay.address, retry=RetryPolicy(20.0, 0.2)) as client,
    ):

        async def cut() -> None:
            for _ in range(4):
                await asyncio.sleep(0.05)
                relay.cut()

        async def slowly() -> AsyncIterator[bytes]:
            for number, document in enumerate(documents(400)):
                if number % 10 == 0:
                    await asyncio.sleep(0.01)
                yield document

        async with client.stream("weather", "s", producer="test") as stream:
            cutting = asyncio.create_task(cut())
            await stream.send(slowly())
            totals = await stream.flush(30)
            await cutting
            assert stream.reconnects >= 1
    assert gateway.streams["s"].documents == documents(400)
    assert totals.sent == 400 == totals.accepted + totals.settled_on_resume


async def test_a_new_process_resumes_the_sequence(client: AsyncClient, gateway: FakeGateway) -> None:
    for part in (documents(6)[:3], documents(6)[3:]):
        async with client.stream("weather", "s", producer="test") as stream:
            await stream.send(part)
    assert gateway.streams["s"].documents == documents(6)
    assert gateway.streams["s"].sequence == 2


async def test_sends_refused_batches_again_in_order(client: AsyncClient, gateway: FakeGateway) -> None:
    refusals = {2: 2, 7: 1}

    def react(sequence: int) -> Reaction:
        if refusals.get(sequence, 0):
            refusals[sequence] -= 1
            return Reaction.REFUSE
        return Reaction.COMMIT

    gateway.react = react
    async with client.stream("weather", "s", producer="test") as stream:
        await stream.send(documents(60))
        totals = await stream.flush()
        assert stream.reconnects == 0
    assert gateway.streams["s"].documents == documents(60)
    assert gateway.refusals >= 3
    assert totals.accepted == 60


async def test_gives_up_on_a_gateway_that_refuses_for_ever(gateway: FakeGateway) -> None:
    gateway.react = lambda sequence: Reaction.REFUSE
    async with (
        serving(ingest(gateway)) as address,
        AsyncClient(address, retry=RetryPolicy(0.3, 0.1)) as client,
    ):
        with pytest.raises(errors.ResourceExhausted) as refused:
            async with client.stream("weather", "s", producer="test") as stream:
                await stream.send(documents(3))
        assert refused.value.reason == "RATE_LIMIT"


async def test_says_what_it_waits_for_until_the_gateway_takes_batches_again(
    client: AsyncClient, gateway: FakeGateway
) -> None:
    gateway.react = lambda sequence: Reaction.REFUSE
    async with client.stream("weather", "s", producer="test") as stream:

        def reason() -> str | None:
            return stream.waits_for.reason if stream.waits_for is not None else None

        assert reason() is None
        await stream.send(documents(3))
        await eventually(lambda: reason() == "RATE_LIMIT")
        gateway.react = lambda sequence: Reaction.COMMIT
        await stream.flush()
        assert reason() is None


async def test_the_longest_document_is_sent_and_one_beyond_is_refused(
    client: AsyncClient, gateway: FakeGateway
) -> None:
    gateway.max_batch_bytes = 1 << 15
    async with client.stream("weather", "s", producer="test") as stream:
        longest = b'"%s"' % (b"x" * (stream.most_document_bytes - 2))
        await stream.send(longest)
        with pytest.raises(errors.InvalidArgument, match="RECORD_TOO_LARGE"):
            await stream.send(longest + b" ")
        await stream.flush()
    assert gateway.streams["s"].documents == [longest]


async def test_a_rejected_batch_is_an_outcome(client: AsyncClient, gateway: FakeGateway) -> None:
    gateway.react = lambda sequence: Reaction.REJECT if sequence == 2 else Reaction.COMMIT
    settled: list[Outcome] = []
    async with client.stream("weather", "s", producer="test", on_outcome=settled.append) as stream:
        await stream.send(documents(9))
        totals = await stream.flush()
    assert [outcome.status for outcome in settled] == [
        OutcomeStatus.ACKNOWLEDGED,
        OutcomeStatus.REJECTED,
        OutcomeStatus.ACKNOWLEDGED,
    ]
    rejected = settled[1]
    assert rejected.error is not None
    assert (rejected.error.reason, rejected.error.fix) == ("BATCH_POISON", "send something else")
    assert (rejected.first_record, rejected.records) == (3, 3)
    assert (totals.accepted, totals.rejected, totals.sent) == (6, 3, 9)


async def test_a_rejected_batch_is_never_silent(client: AsyncClient, gateway: FakeGateway) -> None:
    gateway.react = lambda sequence: Reaction.REJECT
    with pytest.raises(errors.InvalidArgument, match="BATCH_POISON"):
        async with client.stream("weather", "s", producer="test") as stream:
            await stream.send(documents(3))


async def test_keeps_within_credit_and_shows_back_pressure(client: AsyncClient, gateway: FakeGateway) -> None:
    gateway.max_batch_records = 1000
    gateway.credit = 128 * 1024
    gateway.answering.clear()
    record = b'{"text":"%s"}' % (b"x" * 1000)
    async with client.stream("weather", "s", producer="test") as stream, asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(stream.send(record for _ in range(1000)))
        await eventually(lambda: stream.is_slowed)
        await asyncio.sleep(0.1)
        assert not sending.done()
        assert 0 < stream.in_flight_bytes <= gateway.credit
        # Kept in memory: what is in flight, and at most two batches of a quarter of the credit.
        assert stream.unanswered_records * len(record) < 1.75 * gateway.credit
        gateway.answering.set()
        await sending
        await stream.flush()
        assert stream.slowed_seconds > 0.1
        assert not stream.is_slowed
    assert 0 < gateway.most_in_flight <= gateway.credit
    assert len(gateway.streams["s"].documents) == 1000


async def test_a_fenced_stream_does_not_fight_back(client: AsyncClient, gateway: FakeGateway) -> None:
    async def take_over() -> None:
        async with (
            client.stream("weather", "s", producer="old") as old,
            client.stream("weather", "s", producer="new") as new,
        ):
            await new.send(documents(3))
            await new.flush()
            await old.send(documents(3))
            await old.flush()

    with pytest.raises(errors.Aborted, match="STREAM_FENCED"):
        await take_over()
    assert [opening.producer for opening in gateway.openings] == ["old", "new"]
    assert gateway.streams["s"].documents == documents(3)


async def test_a_stream_that_another_producer_took_over_meanwhile_is_noticed(
    client: AsyncClient, gateway: FakeGateway
) -> None:
    def react(sequence: int) -> Reaction:
        # While the connection is down, another producer commits ten batches under the same stream id.
        gateway.streams["s"].sequence += 10
        return Reaction.DROP_BEFORE_COMMIT

    gateway.react = react
    with pytest.raises(errors.Aborted, match="STREAM_TAKEN"):
        async with client.stream("weather", "s", producer="test") as stream:
            await stream.send(documents(3))


async def test_a_gateway_that_forgot_what_it_answered_is_noticed(
    client: AsyncClient, gateway: FakeGateway
) -> None:
    def react(sequence: int) -> Reaction:
        if sequence == 3:
            gateway.streams["s"].sequence = 0
            return Reaction.DROP_BEFORE_COMMIT
        return Reaction.COMMIT

    gateway.react = react
    with pytest.raises(errors.DataLoss, match="STREAM_REWOUND"):
        async with client.stream("weather", "s", producer="test") as stream:
            await stream.send(documents(9))


async def test_an_opening_that_is_refused_for_good_raises_at_once(
    client: AsyncClient, gateway: FakeGateway
) -> None:
    gateway.open_failures = [errors.NotFound("CONTRACT_UNKNOWN", "no such dataset", fix="put its contract")]
    with pytest.raises(errors.NotFound) as refused:
        async with client.stream("weather", "s", producer="test"):
            pytest.fail("the stream must not open")
    assert refused.value.fix == "put its contract"


async def test_an_opening_waits_for_a_gateway_that_drains(client: AsyncClient, gateway: FakeGateway) -> None:
    gateway.open_failures = [errors.Unavailable("GATEWAY_DRAINING", "going down", retry_after=0.05)] * 2
    async with client.stream("weather", "s", producer="test") as stream:
        await stream.send(documents(1))
    assert gateway.streams["s"].documents == documents(1)


async def test_the_gateways_last_word_is_heard_while_batches_are_being_written(
    client: AsyncClient, gateway: FakeGateway
) -> None:
    gateway.max_batch_records = 1000
    gateway.credit = 64 << 20
    gateway.react = lambda sequence: Reaction.SUSPEND if sequence == 3 else Reaction.COMMIT
    record = b'"%s"' % (b"x" * 10_000)
    for attempt in range(5):
        with pytest.raises(errors.PermissionDenied, match="TENANT_SUSPENDED"):
            async with client.stream("weather", f"s{attempt}", producer="test") as stream:
                await stream.send(record for _ in range(2000))
    assert len(gateway.openings) == 5


async def test_a_record_that_is_not_json_names_its_index_and_nothing_else(
    client: AsyncClient, gateway: FakeGateway
) -> None:
    async with client.stream("weather", "s", producer="test") as stream:
        with pytest.raises(errors.InvalidArgument) as refused:
            await stream.send([{"n": 0}, {"secret": {1, 2}}])
        assert refused.value.metadata == {"record_index": "1"}
        assert "secret" not in str(refused.value)
    assert gateway.streams["s"].documents == documents(1)


async def test_a_record_larger_than_a_batch_is_refused(client: AsyncClient, gateway: FakeGateway) -> None:
    async with client.stream("weather", "s", producer="test") as stream:
        with pytest.raises(errors.InvalidArgument, match="RECORD_TOO_LARGE"):
            await stream.send([b"[]", b'"' + b"x" * gateway.max_batch_bytes + b'"'])
        await stream.send(b"{}")
    assert gateway.streams["s"].documents == [b"[]", b"{}"]


async def test_flush_keeps_its_deadline_and_loses_nothing(client: AsyncClient, gateway: FakeGateway) -> None:
    gateway.answering.clear()
    async with client.stream("weather", "s", producer="test") as stream:
        await stream.send(documents(3))
        with pytest.raises(TimeoutError):
            await stream.flush(0.1)
        gateway.answering.set()
        assert (await stream.flush()).accepted == 3


async def test_leaving_with_an_exception_abandons_what_waits(
    client: AsyncClient, gateway: FakeGateway
) -> None:
    gateway.answering.clear()
    stream = client.stream("weather", "s", producer="test")
    outcomes = stream.outcomes()

    async def interrupted() -> AsyncIterator[bytes]:
        yield b"{}"
        raise KeyError

    with pytest.raises(KeyError):
        async with stream:
            await stream.send(interrupted())
    assert [outcome async for outcome in outcomes] == []
    assert not gateway.streams["s"].documents
    with pytest.raises(RuntimeError, match="closed"):
        await stream.send(documents(1))


async def test_several_tasks_may_send(client: AsyncClient, gateway: FakeGateway) -> None:
    async with client.stream("weather", "s", producer="test") as stream:
        await asyncio.gather(*(stream.send([{"task": task}] * 50) for task in range(4)))
        await stream.flush()
    sent = [json.loads(document)["task"] for document in gateway.streams["s"].documents]
    assert sorted(sent) == sorted(list(range(4)) * 50)


async def test_a_listener_that_raises_ends_the_stream(client: AsyncClient) -> None:
    def listener(outcome: Outcome) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        async with client.stream("weather", "s", producer="test", on_outcome=listener) as stream:
            await stream.send(documents(3))
