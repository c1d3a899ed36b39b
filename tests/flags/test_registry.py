"""Flags are set under an approval where that weakens, and every gateway goes by them within two seconds."""

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from intelgraph.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable
from intelgraph.flags import store
from intelgraph.flags.changes import ShareChange, State, TenantChange, document
from intelgraph.flags.registry import FlagRegistry
from intelgraph.flags.snapshot import Reason, Share, place
from intelgraph.flags.table import FLAGS, UNSET, Flag
from tests.flags.world import OPERATOR, World

CONTRACTS, TEMPORAL = FLAGS[Flag.CONTRACTS], FLAGS[Flag.TEMPORAL]
_SECONDS = 2.0
"""What docs/flags.md promises."""


async def _until(holds: Callable[[], bool], seconds: float = _SECONDS) -> float:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds
        await asyncio.sleep(0.005)
    return time.monotonic() - began


async def _warn(world: World, until: datetime | None = None) -> None:
    change = TenantChange.of(CONTRACTS, world.tenant, "warn", until)
    approval_id = await world.approved(document(change, State(world.here.share(Flag.CONTRACTS))))
    assert await world.here.change(change, approval_id, OPERATOR)


async def test_all_is_safe_until_somebody_says_otherwise(world: World) -> None:
    for flag in Flag:
        assert not world.here.weakened(flag, world.tenant.tenant_id)
        now = world.here.effective(flag, world.tenant.tenant_id)
        assert (now.value, now.reason) == (FLAGS[flag].safe, Reason.DEFAULT)


async def test_a_change_holds_on_every_gateway_within_two_seconds_and_so_does_its_return(
    world: World,
) -> None:
    tenant_id = world.tenant.tenant_id
    await _warn(world)
    assert world.here.weakened(Flag.CONTRACTS, tenant_id), "where it was made, at once"
    await _until(lambda: world.there.weakened(Flag.CONTRACTS, tenant_id))
    assert not world.there.weakened(Flag.CONTRACTS, world.platform.tenant_id)
    assert not world.there.weakened(Flag.TEMPORAL, tenant_id)
    back = TenantChange.of(CONTRACTS, world.tenant, "enforce", None)
    assert await world.there.change(back, None, OPERATOR), "what strengthens takes no approval"
    await _until(lambda: not world.here.weakened(Flag.CONTRACTS, tenant_id))
    assert not await world.there.change(back, None, OPERATOR), "the second time changes nothing"
    entries = await world.told()
    assert [(each.kind, each.tenant, each.actor) for each in entries] == [
        ("flag.changed", "acme", "olga")
    ] * 2
    weakened, strengthened = (each.facts for each in entries)
    assert (weakened["scope"], weakened["before"], weakened["after"]) == (
        "tenant",
        "enforce by default",
        "warn",
    )
    assert weakened["weakens"]
    assert weakened["approval_id"]
    assert not strengthened["weakens"]
    assert (strengthened["before"], strengthened["after"]) == ("warn", "enforce")
    assert strengthened["approval_id"] is None


async def test_a_notification_that_is_lost_is_made_up_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.there, "_changed", asyncio.Event())  # which nobody sets
    await _warn(world)
    await _until(lambda: world.there.weakened(Flag.CONTRACTS, world.tenant.tenant_id))


async def test_what_weakens_takes_an_approval_of_exactly_that(world: World) -> None:
    change = TenantChange.of(CONTRACTS, world.tenant, "warn", None)
    with pytest.raises(FailedPrecondition) as caught:
        await world.here.change(change, None, OPERATOR)
    refusal = caught.value
    assert refusal.reason == "APPROVAL_MISSING"
    plan = json.loads(refusal.metadata["document"])
    assert plan == document(change, State(Share()))
    assert (
        "intelgraph --tenant acme approvals request flag.change --reason WHY --document"
        f" '{refusal.metadata['document']}'" in (refusal.fix or "")
    )
    for kind, other in (
        ("another value", plan | {"after": "warn until 2030-01-01T00:00:00Z"}),
        ("another flag", plan | {"flag": "temporal"}),
    ):
        with pytest.raises(FailedPrecondition) as caught:
            await world.here.change(change, await world.approved(other), OPERATOR)
        assert caught.value.reason == "APPROVAL_OF_ANOTHER_PLAN", kind
    with pytest.raises(InvalidArgument):
        await world.approved(plan | {"tenant": "other"})
    with pytest.raises(NotFound):
        await world.here.change(change, uuid4(), OPERATOR)
    assert not world.here.weakened(Flag.CONTRACTS, world.tenant.tenant_id)
    approval_id = await world.approved(plan)
    assert await world.here.change(change, approval_id, OPERATOR)
    back = TenantChange.of(CONTRACTS, world.tenant, UNSET, None)
    assert await world.here.change(back, None, OPERATOR)
    with pytest.raises(FailedPrecondition) as caught:
        await world.here.change(change, approval_id, OPERATOR)
    assert caught.value.reason == "APPROVAL_USED"
    assert [each.facts["after"] for each in await world.told()] == ["warn", "default"], (
        "what is refused leaves no entry"
    )


async def test_an_approval_of_a_state_that_is_gone_is_void(world: World) -> None:
    change = ShareChange.of(CONTRACTS, "warn", 50, None)
    approval_id = await world.approved(document(change, State(Share())), platform=True)
    ten = ShareChange.of(CONTRACTS, "warn", 10, None)
    of_ten = await world.approved(document(ten, State(Share())), platform=True)
    assert await world.here.change(ten, of_ten, OPERATOR)
    with pytest.raises(FailedPrecondition) as caught:
        await world.here.change(change, approval_id, OPERATOR)
    assert caught.value.reason == "APPROVAL_OF_ANOTHER_PLAN"


async def test_a_share_grows_step_by_step_and_takes_nobody_out(world: World) -> None:
    tenants = [uuid4() for _ in range(200)]
    reached: set[UUID] = set()
    state = State(Share())
    for percent in (10, 50, 100):
        change = ShareChange.of(TEMPORAL, "off", percent, None)
        approval_id = await world.approved(document(change, state), platform=True)
        assert await world.here.change(change, approval_id, OPERATOR)
        state = State(world.here.share(Flag.TEMPORAL))
        await _until(lambda share=state.share: world.there.share(Flag.TEMPORAL) == share)  # type: ignore[misc] # bound now
        now = {each for each in tenants if world.there.weakened(Flag.TEMPORAL, each)}
        assert now == {each for each in tenants if place(Flag.TEMPORAL, each) < percent}
        assert reached <= now
        reached = now
    assert len(reached) == len(tenants)
    # A tenant's own setting wins, and shrinking takes no approval.
    own = TenantChange.of(TEMPORAL, world.tenant, "on", None)
    assert await world.here.change(own, None, OPERATOR)
    assert not world.here.weakened(Flag.TEMPORAL, world.tenant.tenant_id)
    with pytest.raises(FailedPrecondition):
        await world.here.change(TenantChange.of(TEMPORAL, world.tenant, UNSET, None), None, OPERATOR)
    assert await world.here.change(ShareChange.of(TEMPORAL, "off", 50, None), None, OPERATOR)
    assert await world.here.change(ShareChange.of(TEMPORAL, "on", 100, None), None, OPERATOR)
    assert not any(world.here.weakened(Flag.TEMPORAL, each) for each in tenants)
    shares = [each.facts["share"] for each in await world.told() if each.facts["scope"] == "share"]
    assert shares == [10, 50, 100, 50, 0]


async def test_what_has_an_end_returns_by_itself_and_says_so_once(world: World) -> None:
    until = datetime.now(UTC) + timedelta(seconds=1.5)
    await _warn(world, until)
    change = ShareChange.of(TEMPORAL, "off", 100, until)
    approval_id = await world.approved(document(change, State(Share())), platform=True)
    assert await world.here.change(change, approval_id, OPERATOR)
    tenant_id = world.tenant.tenant_id
    await _until(lambda: world.there.weakened(Flag.CONTRACTS, tenant_id))
    assert world.there.effective(Flag.CONTRACTS, tenant_id).until == until
    await asyncio.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()))
    for flags in (world.here, world.there):
        await _until(lambda flags=flags: not flags.weakened(Flag.CONTRACTS, tenant_id))  # type: ignore[misc] # bound now
        await _until(lambda flags=flags: not flags.weakened(Flag.TEMPORAL, tenant_id))  # type: ignore[misc] # bound now
    await asyncio.sleep(1.5)
    ended = [
        (each.facts["flag"], each.tenant, each.actor)
        for each in await world.told()
        if each.kind == "flag.ended"
    ]
    assert sorted(ended, key=str) == [("contracts", "acme", "gateway"), ("temporal", None, "gateway")]
    assert world.here.effective(Flag.CONTRACTS, tenant_id).reason is Reason.DEFAULT
    assert world.here.share(Flag.TEMPORAL).percent == 0


async def test_an_end_that_is_past_is_refused(world: World) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await world.here.change(
            TenantChange.of(CONTRACTS, world.tenant, "warn", datetime(2020, 1, 1, tzinfo=UTC)), None, OPERATOR
        )
    assert caught.value.reason == "FLAG_UNTIL_PAST"


async def test_a_gateway_that_cannot_read_goes_by_the_safe_value(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _warn(world)
    tenant_id = world.tenant.tenant_id
    await _until(lambda: world.there.weakened(Flag.CONTRACTS, tenant_id))

    async def away(*_: object) -> None:
        raise Unavailable("STORAGE_UNAVAILABLE", "PostgreSQL is away")

    with monkeypatch.context() as broken:
        broken.setattr(store, "everything", away)
        await _until(lambda: not world.there.weakened(Flag.CONTRACTS, tenant_id), seconds=2.5)
        assert world.there.effective(Flag.CONTRACTS, tenant_id).reason is Reason.DEFAULT
    await _until(lambda: world.there.weakened(Flag.CONTRACTS, tenant_id))


async def test_a_gateway_that_starts_goes_by_what_is_set(world: World) -> None:
    await _warn(world)
    async with FlagRegistry(world.database, world.parts.ledger, world.approvals) as another:
        assert another.weakened(Flag.CONTRACTS, world.tenant.tenant_id)


async def test_of_two_who_use_one_approval_one_does(world: World) -> None:
    change = TenantChange.of(CONTRACTS, world.tenant, "warn", None)
    approval_id = await world.approved(document(change, State(Share())))
    outcomes = await asyncio.gather(
        world.here.change(change, approval_id, OPERATOR), world.there.change(change, approval_id, OPERATOR)
    )
    assert sorted(outcomes) == [False, True], "the second finds nothing to change"
    assert len(await world.told()) == 1


async def test_a_flag_is_made_safe_while_the_ledger_is_forked(world: World) -> None:
    change = TenantChange.of(CONTRACTS, world.tenant, "warn", None)
    assert await world.here.change(change, await world.approved(document(change, State(Share()))), OPERATOR)
    again = TenantChange.of(TEMPORAL, world.tenant, "off", None)
    approval_id = await world.approved(document(again, State(Share())))
    async with world.database.write() as connection:
        await connection.execute("UPDATE ledger_log SET fork_index = 7")
    with pytest.raises(FailedPrecondition, match="LEDGER_FORKED"):
        await world.here.change(again, approval_id, OPERATOR)
    back = TenantChange.of(CONTRACTS, world.tenant, UNSET, None)
    assert await world.here.change(back, None, OPERATOR)
    assert not world.here.weakened(Flag.CONTRACTS, world.tenant.tenant_id)
    assert [each.facts["after"] for each in await world.told()] == ["warn", "default"]
