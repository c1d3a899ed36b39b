"""The client against a real gateway: what is sent is there once, and is read back as it was."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from intelgraph import errors
from intelgraph.client import AsOf, AsyncClient, Delete, Operation, Outcome, from_us
from tests.client.severed import relay_to
from tests.e2e.gateway import OBSERVATIONS, GatewayProcess

START = datetime(2013, 1, 1, tzinfo=UTC)


def station() -> str:
    return f"S{uuid4().hex[:8]}"


def observation(origin: str, hour: int, temp: float | None) -> dict[str, object]:
    return {"origin": origin, "time_hour": (START + timedelta(hours=hour)).isoformat(), "temp": temp}


@pytest.fixture
async def client(gateway: GatewayProcess) -> AsyncIterator[AsyncClient]:
    async with gateway.client() as opened:
        yield opened


async def send(client: AsyncClient, *records: dict[str, object] | Delete) -> Outcome:
    """The outcome of one batch on a stream of its own."""
    settled: list[Outcome] = []
    stream = client.stream("observations", str(uuid4()), producer="test", on_outcome=settled.append)
    async with stream:
        await stream.send(records)
    (outcome,) = settled
    return outcome


async def test_every_kind_of_record_is_counted_as_what_it_is(client: AsyncClient) -> None:
    origin = station()
    first = await send(client, *(observation(origin, hour, 10.0 + hour) for hour in range(3)))
    assert (first.accepted, first.records) == (3, 3)
    assert first.first_change_seq is not None
    assert first.last_change_seq == first.first_change_seq + 2

    again = await send(client, *(observation(origin, hour, 10.0 + hour) for hour in range(3)))
    assert (again.duplicate, again.accepted) == (3, 0)
    assert again.first_change_seq is None

    late = await send(client, observation(origin, -5, 1.0))
    assert late.accepted == 1

    same = await send(client, observation(origin, 2, 12.0) | {"time_hour": "2013-01-01T02:00:00Z"})
    assert (same.duplicate, same.unchanged, same.accepted) in {(1, 0, 0), (0, 0, 1)}

    broken = await send(client, observation(origin, 7, 17.0), observation(origin, 8, None))
    assert (broken.accepted, broken.quarantined) == (1, 1)
    assert broken.quarantine_id is not None
    detail = await client.quarantine.get(broken.quarantine_id, with_records=True)
    assert [violation.instance_pointer for violation in detail.report.violations] == ["/temp"]
    assert [record.index for record in detail.records] == [1]

    gone = await send(client, Delete({"origin": origin}, valid_at=START + timedelta(hours=9)))
    assert gone.accepted == 1
    now = await client.entities.get("observations", {"origin": origin})
    assert (now.operation, now.document) == (Operation.DELETE, b"")


async def test_new_entities_are_not_taken_for_known_ones(client: AsyncClient) -> None:
    prefix, count = station(), 40_000
    async with client.stream("observations", prefix, producer="test") as stream:
        await stream.send(observation(f"{prefix}-{number}", 0, 1.0) for number in range(count))
        totals = await stream.flush()
    assert (totals.accepted, totals.duplicate) == (count, 0)


async def test_an_entity_is_read_as_of_any_moment(client: AsyncClient) -> None:
    origin = station()
    await send(client, *(observation(origin, hour, 10.0 + hour) for hour in range(5)))
    late = await send(client, observation(origin, 2, 99.0) | {"time_hour": "2013-01-01T02:30:00Z"})
    assert late.recorded_us is not None

    async def temp(as_of: AsOf) -> object:
        return (await client.entities.get("observations", {"origin": origin}, as_of)).json()["temp"]

    half_past_two = START + timedelta(hours=2, minutes=30)
    assert await temp(AsOf()) == 14.0
    assert await temp(AsOf(valid=START + timedelta(hours=1))) == 11.0
    assert await temp(AsOf(valid=half_past_two)) == 99.0
    assert await temp(AsOf(valid=half_past_two, recorded=late.recorded_us - 1)) == 12.0
    with pytest.raises(errors.NotFound):
        await temp(AsOf(valid=START - timedelta(hours=1)))

    diff = await client.entities.diff(
        "observations", {"origin": origin}, AsOf(valid=START), AsOf(valid=START + timedelta(hours=4))
    )
    assert diff.before is not None
    assert diff.after is not None
    assert (diff.before.json()["temp"], diff.after.json()["temp"]) == (10.0, 14.0)
    assert b"/temp" in diff.json_patch

    by_id = await client.entities.get("observations", diff.after.entity_id)
    assert by_id == diff.after
    entries = client.entities.history("observations", {"origin": origin}, page_size=2, with_documents=True)
    moments = [entry.version.valid_at async for entry in entries]
    assert moments == sorted(moments, reverse=True)
    assert len(moments) == 6


async def test_the_change_feed_misses_and_repeats_nothing(client: AsyncClient) -> None:
    origin = station()
    first = await send(client, *(observation(origin, hour, float(hour)) for hour in range(50)))
    assert first.first_change_seq is not None
    feed = client.entities.changes(first.first_change_seq - 1, datasets=["observations"], until_now=True)
    seen = [entry.version.seq async for entry in feed if entry.version.dataset == "observations"]
    assert seen == list(range(first.first_change_seq, first.first_change_seq + len(seen)))
    assert len(seen) >= 50

    following = client.entities.changes(feed.resume_after_seq)
    waiting = asyncio.create_task(anext(following))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    then = await send(client, observation(origin, 60, 0.5))
    assert (await asyncio.wait_for(waiting, 10)).version.seq == then.first_change_seq
    following.close()


async def test_cut_connections_lose_and_double_nothing(gateway: GatewayProcess) -> None:
    origin, hours = station(), 3000
    draw = random.Random(origin)  # noqa: S311 - moments at which connections are cut
    async with relay_to(gateway.address) as relay, gateway.client(address=relay.address) as client:
        stream = client.stream("observations", origin, producer="test")
        sending = True

        async def cut() -> None:
            while sending:
                await asyncio.sleep(draw.uniform(0.01, 0.2))
                relay.cut()

        async def slowly() -> AsyncIterator[dict[str, object]]:
            for hour in range(hours):
                if hour % 50 == 0:
                    await asyncio.sleep(0.02)
                yield observation(origin, hour, float(hour))

        async with stream:
            cutting = asyncio.create_task(cut())
            await stream.send(slowly())
            sending = False
            await cutting
            totals = await stream.flush(60)
            assert stream.reconnects > 0
    assert totals.sent == hours == totals.accepted + totals.settled_on_resume
    async with gateway.client() as client:
        entries = client.entities.history("observations", {"origin": origin}, page_size=500)
        stored = [entry.version.valid_at async for entry in entries]
    assert stored == [START + timedelta(hours=hour) for hour in reversed(range(hours))]


async def test_a_killed_gateway_comes_back_and_the_stream_goes_on(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path)
    await asyncio.to_thread(gateway.start)
    origin, hours = station(), 2000
    try:
        async with gateway.client() as client:
            await client.contracts.put(OBSERVATIONS)

            async def slowly() -> AsyncIterator[dict[str, object]]:
                for hour in range(hours):
                    if hour % 20 == 0:
                        await asyncio.sleep(0.02)
                    yield observation(origin, hour, float(hour))

            async with client.stream("observations", origin, producer="test") as stream:
                sending = asyncio.create_task(stream.send(slowly()))
                await asyncio.sleep(0.5)
                await asyncio.to_thread(gateway.kill)
                await asyncio.to_thread(gateway.start)
                await sending
                totals = await stream.flush(60)
                assert stream.reconnects > 0
            assert totals.sent == hours == totals.accepted + totals.settled_on_resume
            entries = client.entities.history("observations", {"origin": origin}, page_size=500)
            assert len([entry async for entry in entries]) == hours
    finally:
        await asyncio.to_thread(gateway.stop)


async def test_the_newer_of_two_connections_wins(client: AsyncClient) -> None:
    origin = station()
    old = client.stream("observations", origin, producer="old")
    new = client.stream("observations", origin, producer="new")

    async def take_over() -> None:
        async with old, new:
            await new.send(observation(origin, 1, 1.0))
            await new.flush()
            await old.send(observation(origin, 2, 2.0))
            await old.flush()

    with pytest.raises(errors.Aborted, match="STREAM_FENCED"):
        await take_over()
    assert old.reconnects == 0
    assert new.totals.accepted == 1


async def test_a_stream_outlives_its_tokens(gateway: GatewayProcess) -> None:
    origin = station()
    async with AsyncClient(gateway.address, token=gateway.token("connector", lifetime=2.0)) as client:
        async with client.stream("observations", origin, producer="test") as stream:
            for hour in range(40):
                await stream.send(observation(origin, hour, float(hour)))
                await asyncio.sleep(0.1)
            totals = await stream.flush()
        assert stream.reconnects == 0
    assert totals.accepted == 40


async def test_what_a_role_may_not_is_denied(gateway: GatewayProcess) -> None:
    async with gateway.client("connector") as client:
        with pytest.raises(errors.PermissionDenied) as denied:
            await client.entities.get("observations", {"origin": "EWR"})
        assert denied.value.metadata["permission"] == "entity.read"
        with pytest.raises(errors.NotFound):
            async with client.stream("no-such-dataset", "s", producer="test"):
                pytest.fail("the stream must not open")


async def test_envelopes_open_in_their_context_only(client: AsyncClient) -> None:
    sealed = await client.envelopes.encrypt([b"first", b""], b"here")
    assert await client.envelopes.decrypt(sealed, b"here") == [b"first", b""]
    opened = await client.envelopes.decrypt(sealed, b"there")
    assert all(isinstance(each, errors.IntelGraphError) for each in opened)
    alone = await client.envelopes.encrypt([b"travels"], b"here", inline_wrapped_key=True)
    assert await client.envelopes.decrypt(alone, b"here") == [b"travels"]


async def test_recorded_time_is_the_gateways(client: AsyncClient) -> None:
    origin = station()
    outcome = await send(client, observation(origin, 0, 1.0))
    assert outcome.recorded_us is not None
    assert abs(from_us(outcome.recorded_us) - datetime.now(UTC)) < timedelta(minutes=1)
