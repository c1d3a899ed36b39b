"""Before an act relies on an approval it is counted anew: what somebody wrote into the database approves nothing."""

from collections.abc import AsyncIterator
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

from intelgraph.approvals.approval import Approval, ApprovalState
from intelgraph.approvals.signing import SigningKey
from intelgraph.errors import DataLoss
from intelgraph.storage.cluster import SUPERUSER
from intelgraph.storage.embedded import EmbeddedServer
from intelgraph.storage.settings import StorageSettings
from tests.approvals.test_keys import approve, register, revoke, signature
from tests.approvals.world import ALICE, BOB, CAROL, World

Superuser: TypeAlias = "asyncpg.Connection[Any]"


@pytest_asyncio.fixture
async def superuser(postgres: EmbeddedServer, storage_settings: StorageSettings) -> AsyncIterator[Superuser]:
    """Who may write what no role of the gateway may."""
    assert storage_settings.owner_dsn is not None
    name = urlsplit(storage_settings.owner_dsn.get_secret_value()).path.removeprefix("/")
    connection = await asyncpg.connect(postgres.dsn(SUPERUSER, name))
    try:
        yield connection
    finally:
        await connection.close()


async def contradicted(world: World, approval: Approval) -> str:
    """What is said of an approval that does not bear itself out; the act is refused and leaves it as it was."""
    with pytest.raises(DataLoss) as caught:
        await world.use(approval)
    assert caught.value.reason == "APPROVAL_CONTRADICTED"
    assert caught.value.fix is not None
    assert str(approval.approval_id) in caught.value.fix
    assert await world.state(approval) is ApprovalState.APPROVED
    return caught.value.message


async def test_a_state_that_was_written_approves_nothing(world: World, superuser: Superuser) -> None:
    approval = await world.requested()
    await superuser.execute("UPDATE approval SET state = 'approved'")
    assert "0 of the 1 persons" in await contradicted(world, approval)


async def test_a_decision_that_was_copied_approves_nothing(world: World, superuser: Superuser) -> None:
    approved, approval = await world.approved(), await world.requested()
    await superuser.execute(
        "INSERT INTO approval_decision SELECT tenant_id, $2, approver, method, decision, decided_at, machine,"
        " reason, statement, key_id, signature FROM approval_decision WHERE approval_id = $1",
        approved.approval_id,
        approval.approval_id,
    )
    await superuser.execute("UPDATE approval SET state = 'approved'")
    assert "what bob stated is not about it" in await contradicted(world, approval)


@pytest.mark.parametrize(
    "change",
    [
        "quorum = 1",
        "role = 'operator'",
        "requested_by = 'mallory'",
        "expires_at = expires_at + interval '1 d'",
    ],
)
async def test_what_was_stated_is_of_the_approval_as_it_is(
    world: World, superuser: Superuser, change: str
) -> None:
    approval = await world.requested(quorum=2)
    await world.approve(approval)
    await world.approve(approval, CAROL)
    await superuser.execute(f"UPDATE approval SET {change}")  # noqa: S608 (of the parameters above)
    assert "is not about it" in await contradicted(world, approval)


async def test_the_requester_and_the_same_person_twice_do_not_count(
    world: World, superuser: Superuser
) -> None:
    approval = await world.approved(quorum=2)
    again = (
        "INSERT INTO approval_decision SELECT tenant_id, approval_id, $1, method, decision, decided_at, machine,"
        " reason, convert_to(replace(convert_from(statement, 'UTF8'), '\"bob\"', to_json($1::text)::text), 'UTF8'),"
        " key_id, signature FROM approval_decision WHERE approver = 'bob'"
    )
    for who in ("Bob", "alice"):
        await superuser.execute(again, who)
    await superuser.execute("UPDATE approval SET state = 'approved'")
    assert "1 of the 2 persons" in await contradicted(world, approval)


async def test_who_denied_it_denied_it(world: World, superuser: Superuser) -> None:
    approval = await world.approved()
    await world.approvals.deny(world.tenant, approval.approval_id, CAROL, reason="no")
    await superuser.execute("UPDATE approval SET state = 'approved', settled_at = NULL, settled_by = NULL")
    assert "carol denied it" in await contradicted(world, approval)


async def test_a_signature_that_was_taken_out_or_altered_is_missed(
    world: World, superuser: Superuser
) -> None:
    bob, carol = SigningKey.generate(), SigningKey.generate()
    await register(world, BOB, bob)
    await register(world, CAROL, carol)
    for change, told in (
        (
            "key_id = NULL, signature = NULL",
            "the approval of bob is not signed, and bob has registered a key",
        ),
        ("signature = set_byte(signature, 0, get_byte(signature, 0) # 1)", "bob's signature does not hold"),
        (f"key_id = '\\x{carol.key_id.hex()}'", "no key of bob"),
        (f"key_id = '\\x{b'?'.hex() * 32}'", "no key of bob"),
    ):
        approval = await world.requested()
        await approve(world, approval, BOB, signature(approval, BOB, bob))
        await superuser.execute(
            f"UPDATE approval_decision SET {change} WHERE approval_id = $1",  # noqa: S608 (of the table above)
            approval.approval_id,
        )
        assert told in await contradicted(world, approval)


async def test_who_registers_a_key_has_to_have_signed_what_is_used_from_then_on(world: World) -> None:
    approval = await world.approved()
    await register(world, BOB, SigningKey.generate())
    assert "bob has registered a key" in await contradicted(world, approval)


async def test_what_was_signed_before_its_key_was_revoked_counts_and_after_it_does_not(
    world: World, superuser: Superuser
) -> None:
    key = SigningKey.generate()
    await register(world, BOB, key)
    before, after = await world.requested(), await world.requested()
    await approve(world, before, BOB, signature(before, BOB, key))
    await approve(world, after, BOB, signature(after, BOB, key))
    await revoke(world, CAROL, BOB, key)
    await superuser.execute(
        "UPDATE approver_key SET revoked_at = (SELECT decided_at FROM approval_decision WHERE approval_id = $1)"
        " - interval '1 second'",
        before.approval_id,
    )
    assert "revoked" in await contradicted(world, before)
    await superuser.execute("UPDATE approver_key SET revoked_at = clock_timestamp()")
    assert (await world.use(after)).state is ApprovalState.USED


async def test_an_approval_that_bears_itself_out_is_used(world: World) -> None:
    key = SigningKey.generate()
    await register(world, BOB, key)
    approval = await world.requested(ALICE, quorum=2)
    await approve(world, approval, BOB, signature(approval, BOB, key))
    await world.approve(approval, CAROL)
    assert (await world.use(approval)).state is ApprovalState.USED
