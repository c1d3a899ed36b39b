"""Every record arrives exactly once and in order over random faults, through the real wire."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intelgraph.client import AsyncClient, RetryPolicy
from tests.client.fake_gateway import FakeGateway, Reaction, ingest, serving

faults = st.sampled_from(
    [Reaction.COMMIT] * 6 + [Reaction.DROP_BEFORE_COMMIT, Reaction.COMMIT_AND_DROP, Reaction.REFUSE]
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(faults, max_size=30),
    st.lists(st.integers(1, 40), min_size=1, max_size=5),
    st.integers(1, 7),
    st.integers(200, 4000),
)
async def test_each_record_arrives_once_in_order(
    reactions: list[Reaction], sends: list[int], batch_records: int, credit: int
) -> None:
    gateway = FakeGateway()
    gateway.max_batch_records = batch_records
    gateway.credit = credit
    gateway.retry_after = 0.001
    script = iter(reactions)
    gateway.react = lambda sequence: next(script, Reaction.COMMIT)
    sent: list[bytes] = []
    async with (
        serving(ingest(gateway)) as address,
        AsyncClient(address, retry=RetryPolicy(20.0, 0.02)) as client,
        client.stream("weather", "s", producer="test") as stream,
    ):
        for count in sends:
            records = [b'{"n":%d}' % (len(sent) + number) for number in range(count)]
            sent += records
            await stream.send(records)
        totals = await stream.flush()
    assert gateway.streams["s"].documents == sent
    assert totals.sent == len(sent) == totals.accepted + totals.settled_on_resume
