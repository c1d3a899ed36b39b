"""Names that look alike are one person."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intelgraph.approvals.approval import ApprovalState
from intelgraph.approvals.signing import SigningKey
from intelgraph.person import names_a_person, person_of
from tests.approvals.test_decisions import refusal
from tests.approvals.test_keys import register, revoke
from tests.approvals.world import BOB, CAROL, World, person

ALIKE = ("Alice", "ALICE", " alice ", "al\u200bice\u202e", "\uff41lice", "al\u00adice", "ali\ufe0fce")


@pytest.mark.parametrize("name", ALIKE)
async def test_who_looks_like_the_requester_is_the_requester(world: World, name: str) -> None:
    approval = await world.requested()
    like = person(name)
    assert await refusal(world.approve(approval, like)) == "APPROVAL_OWN_REQUEST"
    assert await world.approvals.awaiting(world.tenant, like) == []
    assert (await world.approvals.withdraw(world.tenant, approval.approval_id, like)).state is (
        ApprovalState.WITHDRAWN
    )


@pytest.mark.parametrize(
    ("first", "second"), [("bob", "Bob"), ("JOSE\u0301", "jos\u00e9"), ("stra\u00dfe", "STRASSE")]
)
async def test_who_looks_like_an_approver_counts_once(world: World, first: str, second: str) -> None:
    approval = await world.requested(quorum=2)
    await world.approve(approval, person(first))
    assert await refusal(world.approve(approval, person(second))) == "APPROVAL_ALREADY_GIVEN"
    assert await world.approvals.awaiting(world.tenant, person(second)) == []


async def test_who_looks_like_the_owner_of_a_key_has_to_sign(world: World) -> None:
    key = SigningKey.generate()
    await register(world, BOB, key)
    like = person("Bob")
    approval = await world.requested()
    assert await refusal(world.approve(approval, like)) == "APPROVAL_SIGNATURE_MISSING"
    assert await refusal(register(world, like, SigningKey.generate())) == "APPROVER_KEY_NOT_ENDORSED"
    assert await refusal(revoke(world, like, BOB, key)) == "APPROVER_KEY_NOT_ENDORSED"
    await world.approve(approval, CAROL)


@given(st.text(max_size=20))
def test_a_person_is_the_same_by_whatever_is_known_of_it(name: str) -> None:
    assert person_of(person_of(name)) == person_of(name) == person_of(name.upper().lower().upper())


@pytest.mark.parametrize(
    "name", ["ada", "Ada Lovelace", "auth0|5f7c", "jos\u00e9@example.org", "spiffe/x", "\u674e\u660e"]
)
def test_what_shows_as_it_is_names_somebody(name: str) -> None:
    assert names_a_person(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "bob ",
        " bob",
        "b\tob",
        "bob\n",
        "al\u200bice",
        "\u202ebob",
        "bo\u00a0b",
        "bob\u3164",
        "b\u034fob",
        "bob\ufe0f",
    ],
)
def test_what_does_not_show_as_it_is_names_nobody(name: str) -> None:
    assert not names_a_person(name)
