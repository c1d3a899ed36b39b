"""A version that lifts a hold, or keeps for less long, takes the consent of a second person."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from intelgraph._core import open_ledger_entry
from intelgraph.approvals.approval import ApprovalState
from intelgraph.approvals.request import Wanted
from intelgraph.contracts.publishing import APPROVAL_KIND
from intelgraph.contracts.retention import Due, RetentionEffect
from intelgraph.contracts.retention_classes import DAYS
from intelgraph.errors import Aborted, FailedPrecondition, NotFound
from intelgraph.keys.platform import PLATFORM
from intelgraph.tenants.registry import Tenant
from tests.parts.outbox import waiting
from tests.retention.runs import Runs
from tests.retention.shortening import BOB, OLGA, approved, document_of, of_class
from tests.temporal.world import World, upsert

SHORTER = [(before, after) for place, before in enumerate(DAYS) for after in list(DAYS)[:place]]
NOT_SHORTER = [(before, after) for place, before in enumerate(DAYS) for after in list(DAYS)[place:]]


async def told(world: World) -> list[dict[str, Any]]:
    """What the ledger's entries say that a dataset is kept for another time."""
    async with world.database.write() as connection:
        rows = [entry for entry in await waiting(connection) if entry.kind == 24]
    return [
        json.loads(
            open_ledger_entry(
                world.keystore,
                PLATFORM.tenant_id.bytes,
                row.entry_id.bytes,
                row.commitments,
                row.header,
                row.payload,
            )[2]
        )
        for row in rows
    ]


@pytest_asyncio.fixture
async def held(world: World, runs: Runs, tenant: Tenant) -> Tenant:
    """A tenant whose dataset is held, with three old changes, one new one, and an old record in quarantine."""
    await world.ingest(tenant, *(upsert({"id": "EWR", "at": at}) for at in range(1, 5)))
    await world.ingest(tenant, upsert({"at": 1}))
    await runs.age(tenant, 3, 31)
    await runs.as_owner(
        tenant, "UPDATE quarantine SET recorded = recorded - interval '31 days' WHERE tenant_id = $1"
    )
    await world.publisher.publish(tenant, of_class(tenant, "legal-hold", "1.1.0"), by=OLGA.actor)
    return tenant


async def test_one_person_lifts_no_hold(world: World, runs: Runs, held: Tenant) -> None:
    lifting = of_class(held, "ephemeral-7d", "1.2.0")
    document = await document_of(world, held, lifting)
    assert document == {
        "dataset": "stations",
        "version": "1.2.0",
        "digest": (await world.publisher.check(held, lifting)).digest.hex(),
        "before": "legal-hold",
        "after": "ephemeral-7d",
        "due_changes": 3,
        "due_quarantined": 1,
    }
    with pytest.raises(NotFound):
        await world.contracts.get(held, "stations", "1.2.0")
    counts = (await runs.run(held))["stations"]
    assert (counts["removed"], counts["held"], counts["quarantine_held"]) == (0, 4, 1)


async def test_with_an_approval_it_is_lifted_once_and_the_ledger_says_so(
    world: World, runs: Runs, held: Tenant
) -> None:
    lifting = of_class(held, "ephemeral-7d", "1.2.0")
    given = await approved(world, held, await document_of(world, held, lifting))
    done = await world.publisher.publish(held, lifting, by=OLGA.actor, approval_id=given)
    assert (done.created, done.retention.shortens, done.due) == (True, True, Due(3, 1))
    assert (await world.approvals.get(held, given)).state is ApprovalState.USED
    placed, lifted = await told(world)
    assert (placed["before"], placed["after"], placed["shortens"]) == ("short-30d", "legal-hold", False)
    assert placed["approval_id"] is None
    assert lifted == {
        "dataset": "stations",
        "version": "1.2.0",
        "before": "legal-hold",
        "after": "ephemeral-7d",
        "shortens": True,
        "due_changes": 3,
        "due_quarantined": 1,
        "approval_id": str(given),
    }
    counts = (await runs.run(held))["stations"]
    assert (counts["removed"], counts["quarantine_records"]) == (3, 1)


async def test_an_approval_is_of_one_document(world: World, held: Tenant) -> None:
    lifting = of_class(held, "ephemeral-7d", "1.2.0")
    given = await approved(world, held, await document_of(world, held, lifting))
    others = (
        of_class(held, "ephemeral-7d", "1.2.1"),
        of_class(held, "short-30d", "1.2.0"),
        lifting.replace(b'"test"', b'"another purpose"'),
    )
    for other in others:
        with pytest.raises(FailedPrecondition, match="APPROVAL_OF_ANOTHER_PLAN"):
            await world.publisher.publish(held, other, by=OLGA.actor, approval_id=given)
    with pytest.raises(NotFound, match="APPROVAL_NOT_FOUND"):
        await world.publisher.publish(held, lifting, by=OLGA.actor, approval_id=uuid4())
    assert [each["after"] for each in await told(world)] == ["legal-hold"]


async def test_an_approval_that_is_not_given_yet_is_none(world: World, held: Tenant) -> None:
    lifting = of_class(held, "ephemeral-7d", "1.2.0")
    document = json.dumps(await document_of(world, held, lifting)).encode()
    asked = await world.approvals.request(held, Wanted(APPROVAL_KIND, document, "the case is closed"), OLGA)
    with pytest.raises(FailedPrecondition, match="APPROVAL_NOT_APPROVED"):
        await world.publisher.publish(held, lifting, by=OLGA.actor, approval_id=asked.approval_id)


async def test_an_approval_of_another_kind_is_none(world: World, held: Tenant) -> None:
    wanted = Wanted(
        "manual.act", b'{"summary":"lift it","steps":["put"]}', "why not", role="security-officer"
    )
    asked = await world.approvals.request(held, wanted, OLGA)
    await world.approvals.approve(held, asked.approval_id, BOB, digest=asked.digest)
    with pytest.raises(FailedPrecondition, match="APPROVAL_OF_ANOTHER_PLAN"):
        await world.publisher.publish(
            held, of_class(held, "ephemeral-7d", "1.2.0"), by=OLGA.actor, approval_id=asked.approval_id
        )


async def test_what_was_approved_says_the_most_that_may_be_due(
    world: World, runs: Runs, held: Tenant
) -> None:
    lifting = of_class(held, "ephemeral-7d", "1.2.0")
    document = await document_of(world, held, lifting)
    for less in ({"due_changes": 2}, {"due_quarantined": 0}):
        given = await approved(world, held, document | less)
        with pytest.raises(FailedPrecondition, match="APPROVAL_OF_ANOTHER_PLAN"):
            await world.publisher.publish(held, lifting, by=OLGA.actor, approval_id=given)
    given = await approved(world, held, document)
    await runs.age(held, 4, 31)
    with pytest.raises(FailedPrecondition, match="APPROVAL_OF_ANOTHER_PLAN"):
        await world.publisher.publish(held, lifting, by=OLGA.actor, approval_id=given)
    given = await approved(world, held, document | {"due_changes": 10})
    assert (await world.publisher.publish(held, lifting, by=OLGA.actor, approval_id=given)).due == Due(4, 1)


async def test_what_comes_due_within_a_day_is_counted_beforehand(
    world: World, runs: Runs, tenant: Tenant
) -> None:
    await world.ingest(tenant, upsert({"id": "EWR", "at": 1}), upsert({"id": "EWR", "at": 2}))
    await runs.age(tenant, 1, 6.5)
    await world.publisher.publish(tenant, of_class(tenant, "legal-hold", "1.1.0"), by=OLGA.actor)
    lifting = of_class(tenant, "ephemeral-7d", "1.2.0")
    document = await document_of(world, tenant, lifting)
    assert document["due_changes"] == 1
    given = await approved(world, tenant, document)
    done = await world.publisher.publish(tenant, lifting, by=OLGA.actor, approval_id=given)
    assert done.due == Due(0, 0)


@pytest.mark.parametrize(("before", "after"), SHORTER)
async def test_every_shorter_class_takes_one(world: World, tenant: Tenant, before: str, after: str) -> None:
    await world.publisher.publish(tenant, of_class(tenant, before, "1.0.0", "b"), by=OLGA.actor)
    document = await document_of(world, tenant, of_class(tenant, after, "1.0.1", "b"))
    assert (document["before"], document["after"]) == (before, after)


@pytest.mark.parametrize(("before", "after"), NOT_SHORTER)
async def test_no_other_does(world: World, tenant: Tenant, before: str, after: str) -> None:
    await world.publisher.publish(tenant, of_class(tenant, before, "1.0.0", "b"), by=OLGA.actor)
    done = await world.publisher.publish(tenant, of_class(tenant, after, "1.0.1", "b"), by=OLGA.actor)
    assert done.retention == RetentionEffect(after, before, after)
    assert not done.retention.shortens
    assert [each["after"] for each in await told(world)] == ([after] if after != before else [])


async def test_an_older_version_decides_nothing(world: World, held: Tenant) -> None:
    for older in ("1.0.5", "1.1.0-rc.1"):
        done = await world.publisher.publish(held, of_class(held, "ephemeral-7d", older), by=OLGA.actor)
        assert done.retention == RetentionEffect("ephemeral-7d", "legal-hold", "legal-hold")
    # Nor does a hold below a version that is newer: whoever publishes it is told.
    await world.publisher.publish(held, of_class(held, "ephemeral-7d", "2.0.0", "b"), by=OLGA.actor)
    late = await world.publisher.publish(held, of_class(held, "legal-hold", "1.0.0", "b"), by=OLGA.actor)
    assert late.retention == RetentionEffect("legal-hold", "ephemeral-7d", "ephemeral-7d")
    assert [each["after"] for each in await told(world)] == ["legal-hold"]


async def test_a_pre_release_of_a_newer_version_takes_one_too(world: World, held: Tenant) -> None:
    await document_of(world, held, of_class(held, "long-1825d", "1.1.1-0"))


async def test_the_same_document_again_takes_none(world: World, held: Tenant) -> None:
    lifting = of_class(held, "ephemeral-7d", "1.2.0")
    given = await approved(world, held, await document_of(world, held, lifting))
    await world.publisher.publish(held, lifting, by=OLGA.actor, approval_id=given)
    again = await world.publisher.publish(held, lifting, by=OLGA.actor, approval_id=given)
    assert (again.created, again.retention.changes, again.due) == (False, False, Due())
    # Held anew, the old version lifts nothing, and no approval of before does.
    await world.publisher.publish(held, of_class(held, "legal-hold", "1.3.0"), by=OLGA.actor)
    assert not (await world.publisher.publish(held, lifting, by=OLGA.actor)).created
    with pytest.raises(FailedPrecondition, match="APPROVAL_OF_ANOTHER_PLAN"):
        await world.publisher.publish(
            held, of_class(held, "ephemeral-7d", "1.4.0"), by=OLGA.actor, approval_id=given
        )


async def test_an_approval_of_yesterdays_class_is_void(world: World, tenant: Tenant) -> None:
    shorter = of_class(tenant, "ephemeral-7d", "1.2.0")
    given = await approved(world, tenant, await document_of(world, tenant, shorter))
    await world.publisher.publish(tenant, of_class(tenant, "legal-hold", "1.1.0"), by=OLGA.actor)
    with pytest.raises(FailedPrecondition, match="APPROVAL_OF_ANOTHER_PLAN"):
        await world.publisher.publish(tenant, shorter, by=OLGA.actor, approval_id=given)


async def test_of_two_who_shorten_at_once_neither_passes_the_other(world: World, held: Tenant) -> None:
    versions = [of_class(held, "long-1825d", "1.2.0"), of_class(held, "ephemeral-7d", "1.3.0")]
    given = [await approved(world, held, await document_of(world, held, each)) for each in versions]
    ended = await asyncio.gather(
        *(
            world.publisher.publish(held, each, by=OLGA.actor, approval_id=approval)
            for each, approval in zip(versions, given, strict=True)
        ),
        return_exceptions=True,
    )
    # Each approval says that it leads away from the hold: the other one of them has to be asked for anew.
    refused = [each for each in ended if isinstance(each, Exception)]
    assert len(refused) == 1
    assert isinstance(refused[0], Aborted | FailedPrecondition)
    assert [each["before"] for each in await told(world)] == ["short-30d", "legal-hold"]


async def test_a_hold_that_comes_while_a_shorter_version_is_on_its_way_holds(
    world: World, tenant: Tenant
) -> None:
    rounds = 10
    for number in range(rounds):
        dataset = f"d{number}"
        await world.publisher.publish(
            tenant, of_class(tenant, "ephemeral-7d", "1.0.0", dataset), by=OLGA.actor
        )
        await asyncio.gather(
            world.publisher.publish(tenant, of_class(tenant, "legal-hold", "1.1.0", dataset), by=OLGA.actor),
            world.publisher.publish(
                tenant, of_class(tenant, "ephemeral-7d", "1.2.0", dataset), by=OLGA.actor
            ),
            return_exceptions=True,
        )
    lifted = [each for each in await told(world) if each["shortens"]]
    assert lifted == []


async def test_a_check_says_it_beforehand_and_changes_nothing(world: World, held: Tenant) -> None:
    prospect = await world.publisher.check(held, of_class(held, "ephemeral-7d", "1.2.0"))
    assert (prospect.published_us, prospect.retention.shortens, prospect.due) == (None, True, Due(3, 1))
    assert prospect.plan == await document_of(world, held, of_class(held, "ephemeral-7d", "1.2.0"))
    longer = await world.publisher.check(held, of_class(held, "legal-hold", "1.2.0"))
    assert (longer.retention.shortens, longer.due, longer.plan) == (False, Due(), None)
    first = await world.publisher.check(held, of_class(held, "ephemeral-7d", "1.0.0", "b"))
    assert first.retention == RetentionEffect("ephemeral-7d", None, "ephemeral-7d")
    assert [each.version for each in await world.contracts.page(held, "", None, 9)] == ["1.1.0", "1.0.0"]
    published = await world.publisher.check(held, of_class(held, "legal-hold", "1.1.0"))
    assert published.published_us is not None
