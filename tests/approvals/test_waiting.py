"""What waits for a person, live: what is there first, then what comes, on whichever gateway."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest_asyncio
from prometheus_client import REGISTRY

from intelgraph.approvals import waiting as waiting_module
from intelgraph.approvals.approval import ApprovalState, Caller
from intelgraph.approvals.approvals import Approvals
from intelgraph.approvals.waiting import CAUGHT_UP, News, Waiting
from intelgraph.storage.database import Database
from intelgraph.storage.settings import StorageSettings
from tests.approvals.world import ALICE, BOB, CAROL, World, person


@pytest_asyncio.fixture
async def waiting(world: World) -> AsyncIterator[Waiting]:
    async with Waiting(world.database, world.approvals) as entered:
        yield entered


class Follower:
    """Reads news with a time limit."""

    def __init__(self, news: AsyncIterator[News]) -> None:
        self._news = news

    async def next(self, seconds: float = 5.0) -> News:
        async with asyncio.timeout(seconds):
            return await anext(self._news)


@asynccontextmanager
async def following(waiting: Waiting, world: World, who: Caller = BOB, **how: Any) -> AsyncIterator[Follower]:
    news = waiting.follow(how.pop("tenant", world.tenant), who, **how)
    try:
        yield Follower(news)
    finally:
        await news.aclose()  # type: ignore[attr-defined]  # an asynchronous generator


async def test_what_waits_is_told_first_and_what_comes_then(world: World, waiting: Waiting) -> None:
    there = await world.requested()
    async with following(waiting, world) as bob:
        first = await bob.next()
        assert first.approval is not None
        assert (first.approval.approval_id, first.awaits) == (there.approval_id, True)
        assert first.approval.document == there.document
        assert await bob.next() is CAUGHT_UP
        new = await world.requested()
        told = await bob.next()
        assert told.approval is not None
        assert told.approval.approval_id == new.approval_id


async def test_what_was_decided_waits_no_more(world: World, waiting: Waiting) -> None:
    async with following(waiting, world) as bob:
        assert await bob.next() is CAUGHT_UP
        for end in ("approve", "deny", "withdraw"):
            asked = await world.requested()
            assert (await bob.next()).awaits
            if end == "approve":
                await world.approve(asked, CAROL)
            elif end == "deny":
                await world.approvals.deny(world.tenant, asked.approval_id, CAROL, reason="no")
            else:
                await world.approvals.withdraw(world.tenant, asked.approval_id, ALICE)
            gone = await bob.next()
            assert gone.approval is not None
            assert (gone.approval.approval_id, gone.awaits) == (asked.approval_id, False)
            assert gone.approval.state is not ApprovalState.REQUESTED


async def test_it_is_told_again_when_another_has_approved(world: World, waiting: Waiting) -> None:
    asked = await world.requested(quorum=3)
    async with following(waiting, world) as bob:
        await bob.next()
        await bob.next()
        await world.approve(asked, CAROL)
        again = await bob.next()
        assert again.approval is not None
        assert (again.approval.missing, again.awaits) == (2, True)
        await world.approve(asked, BOB)
        own = await bob.next()
        assert own.approval is not None
        assert (own.approval.missing, own.awaits) == (1, False)


async def test_only_what_a_person_can_decide_is_told(world: World, waiting: Waiting) -> None:
    asked = await world.requested()
    for who, how in (
        (ALICE, {}),
        (person("eve", "operator"), {}),
        (BOB, {"kind": "flag.change"}),
        (BOB, {"tenant": world.stranger}),
    ):
        async with following(waiting, world, who, **how) as follower:
            assert await follower.next() is CAUGHT_UP
    async with following(waiting, world, BOB, kind="manual.act") as bob:
        first = await bob.next()
        assert first.approval is not None
        assert first.approval.approval_id == asked.approval_id


async def test_what_is_over_expires_by_itself_and_is_told(world: World, waiting: Waiting) -> None:
    asked = await world.requested(lifetime=timedelta(seconds=1))
    async with following(waiting, world) as bob:
        assert (await bob.next()).awaits
        assert await bob.next() is CAUGHT_UP
        gone = await bob.next()
        assert gone.approval is not None
        assert (gone.approval.state, gone.awaits) == (ApprovalState.EXPIRED, False)
    for _ in range(50):
        kinds = [entry.kind for entry in await world.told(asked)]
        if kinds[-1] == "approval.expired":
            break
        await asyncio.sleep(0.1)
    assert kinds == ["approval.requested", "approval.expired"]


async def test_another_gateway_tells_it_at_once(world: World, storage_settings: StorageSettings) -> None:
    async with AsyncExitStack() as opened:
        other = await Database.connect(storage_settings)
        opened.push_async_callback(other.close)
        elsewhere = await opened.enter_async_context(
            Waiting(other, Approvals(other, world.parts.ledger, world.platform))
        )
        async with following(elsewhere, world) as bob:
            assert await bob.next() is CAUGHT_UP
            await asyncio.sleep(0.3)  # until it listens
            began = time.monotonic()
            await world.requested()
            assert (await bob.next()).awaits
            assert time.monotonic() - began < waiting_module.BEAT_SECONDS / 2


async def test_it_goes_on_after_its_connection_broke(world: World, waiting: Waiting) -> None:
    async with following(waiting, world) as bob:
        assert await bob.next() is CAUGHT_UP
        await asyncio.sleep(0.3)
        async with world.database.write() as connection:
            ended = await connection.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = ''"
            )
        assert ended
        await world.requested()
        assert (await bob.next()).awaits


async def test_what_waits_is_measured_by_kind(world: World) -> None:
    def waits(kind: str) -> float | None:
        return REGISTRY.get_sample_value("intelgraph_approvals_waiting", {"kind": kind})

    await world.requested()
    await world.requested(tenant=world.stranger)
    await world.approved()
    async with Waiting(world.database, world.approvals):
        for _ in range(50):
            if waits("manual.act") == 2:
                break
            await asyncio.sleep(0.1)
    assert (waits("manual.act"), waits("flag.change")) == (2, 0)
    oldest = REGISTRY.get_sample_value("intelgraph_approvals_oldest_waiting_seconds")
    assert oldest is not None
    assert 0 < oldest < 60
