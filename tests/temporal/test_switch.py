"""The past turned off: only the present is read, and what is said of it goes on being recorded."""

import asyncio
import time

import pytest

from intelgraph.errors import Unavailable
from intelgraph.temporal.entities import EntityName, Moment
from intelgraph.tenants.registry import Tenant
from tests.temporal.world import World, upsert

EWR = EntityName("stations", b'"EWR"')


async def test_the_present_is_read_and_nothing_else(world: World, tenant: Tenant) -> None:
    await world.ingest(tenant, upsert({"id": "EWR", "at": 1}))
    world.past_off.add(tenant.tenant_id)
    assert (await world.entities.get(tenant, EWR, Moment())).watermark == 1
    for refused in (
        world.entities.get(tenant, EWR, Moment(valid_us=1)),
        world.entities.get(tenant, EWR, Moment(recorded_us=2**60)),
        world.entities.diff(tenant, EWR, Moment(valid_us=1), Moment()),
        world.entities.history(tenant, EWR, None, 10, with_documents=False),
        anext(aiter(world.feed.changes(tenant, 0, [], until_now=True))),
    ):
        with pytest.raises(Unavailable) as caught:
            await refused
        assert caught.value.reason == "TEMPORAL_OFF"
        assert "intelgraph flags set temporal on" in (caught.value.fix or "")
    assert (await world.ingest(tenant, upsert({"id": "EWR", "at": 2}))).accepted == 1
    assert (await world.entities.get(tenant, EWR, Moment())).watermark == 2
    stranger = await world.tenant()
    await world.ingest(stranger, upsert({"id": "EWR", "at": 1}))
    assert (await world.entities.get(stranger, EWR, Moment(valid_us=1))).watermark == 1
    world.past_off.clear()
    assert (await world.entities.get(tenant, EWR, Moment(valid_us=1))).watermark == 2


async def test_an_open_feed_ends(world: World, tenant: Tenant) -> None:
    await world.ingest(tenant, upsert({"id": "EWR", "at": 1}))
    feed = aiter(world.feed.changes(tenant, 0, [], until_now=False))
    assert (await anext(feed)).resume_after_seq == 1
    waiting = asyncio.ensure_future(anext(feed))
    await asyncio.sleep(0.1)
    world.past_off.add(tenant.tenant_id)
    began = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        await waiting
    assert caught.value.reason == "TEMPORAL_OFF"
    assert time.monotonic() - began < 1.0, "with a second of notice the flag's two seconds hold"
