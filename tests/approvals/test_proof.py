"""An approval as a document by itself: whatever was altered in it is found, without the database."""

import copy
import json
from typing import Any

import pytest

from intelgraph.approvals.approval import Approval
from intelgraph.approvals.proof import check, signed
from intelgraph.approvals.signing import ES256, SigningKey
from intelgraph.cli.approval_view import approval_as_json
from intelgraph.client.approval import approval_of
from intelgraph.errors import InvalidArgument
from intelgraph.gateway.approval_service import _message
from tests.approvals.test_keys import approve, register, signature
from tests.approvals.world import BOB, CAROL, World


def proof_of(approval: Approval) -> dict[str, Any]:
    """As it comes to an auditor: over the wire, and out of the command line."""
    shown: dict[str, Any] = json.loads(json.dumps(approval_as_json(approval_of(_message(approval)))))
    return shown


async def signed_approval(world: World) -> tuple[dict[str, Any], SigningKey, SigningKey]:
    bob, carol = SigningKey.generate(), SigningKey.generate(ES256)
    await register(world, BOB, bob)
    await register(world, CAROL, carol)
    approval = await world.requested(quorum=2)
    await approve(world, approval, BOB, signature(approval, BOB, bob))
    await approve(world, approval, CAROL, signature(approval, CAROL, carol))
    await world.use(approval)
    return proof_of(await world.approvals.get(world.tenant, approval.approval_id)), bob, carol


async def test_a_signed_approval_proves_itself(world: World) -> None:
    proof, bob, carol = await signed_approval(world)
    assert proof["state"] == "used"
    assert signed(proof) == 2
    assert check(proof) == []
    assert check(proof, {bob.key_id, carol.key_id}) == []
    (fault,) = check(proof, {bob.key_id})
    assert fault.startswith("carol signed with a key that is not trusted")


async def test_whatever_is_altered_is_found(world: World) -> None:
    proof, bob, carol = await signed_approval(world)
    trusted = {bob.key_id, carol.key_id}
    alterations: dict[str, Any] = {
        "approval_id": "00000000-0000-0000-0000-000000000001",
        "tenant": "other",
        "platform": True,
        "origin": "intelgraph-gateway/other",
        "kind": "flag.change",
        "document": proof["document"].replace("root", "boot"),
        "plan": [*proof["plan"][:1], "Step 1: sign with it"],
        "missing": 1,
        "digest": "00" * 32,
        "role": "operator",
        "quorum": 1,
        "requested_by": "mallory",
        "expires_us": proof["expires_us"] + 1,
    }
    for member, value in alterations.items():
        assert proof[member] != value
        assert check(proof | {member: value}, trusted), member

    for member, value in (
        ("approver", "mallory"),
        ("decision", "deny"),
        ("statement", proof["decisions"][0]["statement"].replace("bob", "eve")),
        ("statement", proof["decisions"][1]["statement"]),
        ("public_key", proof["decisions"][1]["public_key"]),
        ("signature", proof["decisions"][1]["signature"]),
        ("signature", None),
        ("algorithm", "ES256"),
    ):
        altered = copy.deepcopy(proof)
        altered["decisions"][0][member] = value
        assert check(altered, trusted), member


async def test_a_kind_that_is_not_known_is_not_vouched_for(world: World) -> None:
    proof, _, _ = await signed_approval(world)
    assert any("does not know the kind" in fault for fault in check(proof | {"kind": "made.up"}))


async def test_who_may_write_the_database_cannot_make_a_quorum(world: World) -> None:
    proof, bob, carol = await signed_approval(world)
    trusted = {bob.key_id, carol.key_id}
    once = proof | {"decisions": proof["decisions"][:1]}
    assert check(once | {"missing": 1}, trusted) == ["it took 2 persons, and 1 approved"]
    twice = proof | {"decisions": proof["decisions"][:1] * 2}
    assert "bob counts more than once" in check(twice, trusted)
    for requester in ("bob", "Bob"):
        own = proof | {"requested_by": requester}
        assert f"{requester} asked for it and approved it" in check(own, trusted)


async def test_without_signatures_only_the_database_says_so(world: World) -> None:
    approval = await world.approved()
    proof = proof_of(await world.approvals.get(world.tenant, approval.approval_id))
    assert check(proof) == []
    assert signed(proof) == 0
    assert check(proof, {SigningKey.generate().key_id}) == ["the approval of bob is not signed"]


async def test_what_was_denied_does_not_count_as_approved(world: World) -> None:
    approval = await world.approved()
    denied = await world.approvals.deny(world.tenant, approval.approval_id, CAROL, reason="no")
    proof = proof_of(await world.approvals.get(world.tenant, denied.approval_id))
    assert check(proof) == []
    assert check(proof | {"state": "used"}) == ["carol denied it"]


@pytest.mark.parametrize(
    "proof", [{}, {"format": "other"}, {"format": "intelgraph.approval/v1"}, {"format": None, "decisions": 1}]
)
def test_what_is_no_approval_is_refused(proof: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="APPROVAL_PROOF_INVALID"):
        check(proof)
