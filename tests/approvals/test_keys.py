"""Keys of approvers: whoever has one signs, and a stolen token alone gets nowhere."""

import asyncio
import json
import time
from typing import Any, Literal
from uuid import UUID

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from intelgraph.approval_statement import decision_statement, key_statement
from intelgraph.approvals.approval import Approval, ApprovalState, Caller
from intelgraph.approvals.keys import ApproverKey, GivenSignature
from intelgraph.approvals.request import Wanted
from intelgraph.approvals.signing import ED25519, ES256, PublicKey, SigningKey
from intelgraph.errors import IntelGraphError, InvalidArgument
from tests.approvals.test_decisions import refusal
from tests.approvals.world import ALICE, BOB, CAROL, DAN, World, person

MALLORY = person("mallory")
ALGORITHMS = pytest.mark.parametrize("algorithm", [ED25519, ES256])


def now_us() -> int:
    return time.time_ns() // 1_000


async def of_key(
    world: World,
    action: Literal["register", "revoke"],
    owner: Caller,
    key_id: bytes,
    signer: SigningKey,
    at_us: int,
    /,
    **other: Any,
) -> GivenSignature:
    facts: dict[str, Any] = {
        "origin": await world.keys.origin(world.tenant),
        "tenant": "acme",
        "action": action,
        "approver": owner.name,
        "key_id": key_id,
        "at_us": at_us,
    }
    return GivenSignature(signer.key_id, at_us, signer.sign(key_statement(**facts | other)))


async def register(
    world: World, owner: Caller, key: SigningKey, endorser: SigningKey | None = None, **other: Any
) -> ApproverKey:
    at_us, approval_id = other.pop("at_us", now_us()), other.pop("approval_id", None)
    proof = await of_key(world, "register", owner, key.key_id, key, at_us, **other)
    endorsement = (
        await of_key(world, "register", owner, key.key_id, endorser, at_us) if endorser is not None else None
    )
    return await world.keys.register(world.tenant, owner, key.public.der, proof, endorsement, approval_id)


async def vouched(world: World, owner: Caller, key: SigningKey, *approvers: Caller) -> UUID:
    """An approval that the owner of a key asked for and others gave, unsigned."""
    document = {"approver": owner.name, "key_id": key.key_id.hex()}
    wanted = Wanted("approver_key.register", json.dumps(document).encode(), "the former one is lost")
    approval = await world.approvals.request(world.tenant, wanted, owner)
    for each in approvers:
        await world.approve(approval, each)
    return approval.approval_id


async def revoke(
    world: World, caller: Caller, owner: Caller, key: SigningKey, endorser: SigningKey | None = None
) -> ApproverKey:
    endorsement = (
        await of_key(world, "revoke", owner, key.key_id, endorser, now_us()) if endorser is not None else None
    )
    return await world.keys.revoke(world.tenant, caller, key.key_id, "lost", endorsement)


def signature(
    approval: Approval,
    who: Caller,
    key: SigningKey,
    word: Literal["approve", "deny"] = "approve",
    at_us: int | None = None,
) -> GivenSignature:
    at = now_us() if at_us is None else at_us
    statement = decision_statement(approval.statement_facts, decision=word, approver=who.name, at_us=at)
    return GivenSignature(key.key_id, at, key.sign(statement))


async def approve(world: World, approval: Approval, who: Caller, given: GivenSignature | None) -> Approval:
    return await world.approvals.approve(
        world.tenant, approval.approval_id, who, digest=approval.digest, signature=given
    )


@ALGORITHMS
async def test_who_has_registered_a_key_signs_from_then_on(world: World, algorithm: str) -> None:
    key = SigningKey.generate(algorithm)
    registered = await register(world, BOB, key)
    assert (registered.approver, registered.algorithm, registered.in_force) == ("bob", algorithm, True)
    approval = await world.requested(quorum=2)
    assert await refusal(world.approve(approval, BOB)) == "APPROVAL_SIGNATURE_MISSING"
    await world.approve(approval, CAROL)  # who has none need not
    approved = await approve(world, approval, BOB, signature(approval, BOB, key))
    assert approved.state is ApprovalState.APPROVED
    stored = await world.approvals.get(world.tenant, approval.approval_id)
    (decision,) = [each for each in stored.decisions if each.approver == "bob"]
    assert decision.signature is not None
    PublicKey.read(decision.signature.public_key).verify(decision.statement, decision.signature.value)
    assert decision.signature.key_id == key.key_id
    told = [
        entry.facts["key_id"] for entry in await world.told(approval) if entry.kind == "approval.approved"
    ]
    assert told == [None, key.key_id.hex()]


@ALGORITHMS
async def test_a_signature_is_of_that_person_that_approval_and_that_word(
    world: World, algorithm: str
) -> None:
    bob, carol = SigningKey.generate(algorithm), SigningKey.generate(algorithm)
    await register(world, BOB, bob)
    await register(world, CAROL, carol)
    approval, other = await world.requested(), await world.requested()
    given = signature(approval, BOB, bob)
    wrong = {
        "of another word": signature(approval, BOB, bob, "deny"),
        "of another approval": signature(other, BOB, bob),
        "of another person": signature(approval, CAROL, bob),
        "of another time": GivenSignature(given.key_id, given.at_us + 1, given.value),
        "altered": GivenSignature(given.key_id, given.at_us, bytes([given.value[0] ^ 1]) + given.value[1:]),
        "cut": GivenSignature(given.key_id, given.at_us, given.value[:-1]),
        "empty": GivenSignature(given.key_id, given.at_us, b""),
    }
    for what, forged in wrong.items():
        with pytest.raises(InvalidArgument) as caught:
            await approve(world, approval, BOB, forged)
        assert caught.value.reason == "APPROVAL_SIGNATURE_INVALID", what
    with_carols = signature(approval, BOB, carol)
    assert await refusal(approve(world, approval, BOB, with_carols)) == "APPROVER_KEY_NOT_FOUND"
    assert await world.state(approval) is ApprovalState.REQUESTED


@pytest.mark.parametrize("minutes", [-6, 6])
async def test_an_old_signature_is_not_taken(world: World, minutes: int) -> None:
    key = SigningKey.generate()
    await register(world, BOB, key)
    approval = await world.requested()
    at_us = now_us() + minutes * 60_000_000
    late = approve(world, approval, BOB, signature(approval, BOB, key, at_us=at_us))
    assert await refusal(late) == "APPROVAL_SIGNATURE_TIME"
    assert (
        await refusal(register(world, CAROL, SigningKey.generate(), at_us=at_us)) == "APPROVAL_SIGNATURE_TIME"
    )


async def test_a_denial_may_be_signed_and_need_not_be(world: World) -> None:
    key = SigningKey.generate()
    await register(world, BOB, key)
    for given in (False, True):
        approval = await world.requested()
        denied = await world.approvals.deny(
            world.tenant,
            approval.approval_id,
            BOB,
            reason="no",
            signature=signature(approval, BOB, key, "deny") if given else None,
        )
        assert (denied.decisions[0].signature is not None) == given


async def test_a_second_key_takes_the_word_of_the_first(world: World) -> None:
    first, second, stranger = (SigningKey.generate() for _ in range(3))
    await register(world, BOB, first)
    assert await refusal(register(world, BOB, second)) == "APPROVER_KEY_NOT_ENDORSED"
    assert await refusal(register(world, BOB, second, endorser=stranger)) == "APPROVER_KEY_NOT_FOUND"
    assert await refusal(register(world, BOB, second, endorser=second)) == "APPROVER_KEY_NOT_FOUND"
    assert (await register(world, BOB, second, endorser=first)).in_force
    told = [
        entry.facts["endorsed_by"] for entry in await world.told() if entry.kind == "approver_key.registered"
    ]
    assert told == [None, first.key_id.hex()]


async def test_an_own_key_is_revoked_with_a_signature_and_a_lost_one_by_another(world: World) -> None:
    first, second = SigningKey.generate(), SigningKey.generate()
    await register(world, BOB, first)
    await register(world, BOB, second, endorser=first)
    assert await refusal(revoke(world, BOB, BOB, first)) == "APPROVER_KEY_NOT_ENDORSED"
    assert not (await revoke(world, BOB, BOB, first, endorser=second)).in_force
    lost = await revoke(world, CAROL, BOB, second)
    assert (lost.revoked_by, lost.revoke_reason) == ("carol", "lost")
    assert await refusal(revoke(world, CAROL, BOB, second)) == "APPROVER_KEY_REVOKED"
    assert await refusal(revoke(world, CAROL, BOB, SigningKey.generate())) == "APPROVER_KEY_NOT_FOUND"

    # Without a key in force nothing can be approved, neither signed nor not, until there is another.
    approval = await world.requested()
    assert await refusal(world.approve(approval, BOB)) == "APPROVAL_SIGNATURE_MISSING"
    revoked = signature(approval, BOB, second)
    assert await refusal(approve(world, approval, BOB, revoked)) == "APPROVER_KEY_NOT_FOUND"
    assert await refusal(register(world, BOB, second)) == "APPROVER_KEY_REGISTERED"
    third = SigningKey.generate(ES256)
    await register(world, BOB, third, approval_id=await vouched(world, BOB, third, CAROL, DAN))
    assert (await approve(world, approval, BOB, signature(approval, BOB, third))).missing == 0


async def test_who_revoked_the_keys_of_another_lets_nobody_in(world: World) -> None:
    carols, thiefs = SigningKey.generate(), SigningKey.generate()
    await register(world, CAROL, carols)
    await revoke(world, MALLORY, CAROL, carols)
    # Mallory has Carol's token as well.
    with pytest.raises(IntelGraphError) as caught:
        await register(world, CAROL, thiefs)
    assert caught.value.reason == "APPROVAL_MISSING"
    document = {"approver": "carol", "key_id": thiefs.key_id.hex()}
    assert json.loads(caught.value.metadata["document"]) == document
    alone = await vouched(world, CAROL, thiefs, MALLORY)
    assert await refusal(register(world, CAROL, thiefs, approval_id=alone)) == "APPROVAL_NOT_APPROVED"
    for_another = await vouched(world, CAROL, SigningKey.generate(), MALLORY, DAN)
    assert (
        await refusal(register(world, CAROL, thiefs, approval_id=for_another)) == "APPROVAL_OF_ANOTHER_PLAN"
    )
    own = SigningKey.generate()
    by_others = await vouched(world, CAROL, own, BOB, DAN)
    assert (await register(world, CAROL, own, approval_id=by_others)).in_force
    told = [entry.facts for entry in await world.told() if entry.kind == "approver_key.registered"]
    assert [facts["approval_id"] for facts in told] == [None, str(by_others)]
    assert await refusal(register(world, CAROL, SigningKey.generate(), approval_id=by_others)) == (
        "APPROVER_KEY_NOT_ENDORSED"
    )


async def test_a_key_is_one_persons(world: World) -> None:
    key = SigningKey.generate()
    await register(world, BOB, key)
    assert await refusal(register(world, CAROL, key)) == "APPROVER_KEY_REGISTERED"


@pytest.mark.parametrize(
    "other", [{"approver": "carol"}, {"tenant": "other"}, {"origin": "elsewhere"}, {"action": "revoke"}]
)
async def test_the_proof_of_a_key_is_of_its_owner_here(world: World, other: dict[str, Any]) -> None:
    assert await refusal(register(world, BOB, SigningKey.generate(), **other)) == "APPROVAL_SIGNATURE_INVALID"


async def test_keys_of_tenants_never_meet(world: World) -> None:
    key = SigningKey.generate()
    await register(world, BOB, key)
    assert await world.keys.page(world.stranger, "", b"", 10) == []
    (found,) = await world.keys.page(world.tenant, "bob", b"", 10)
    assert found.key_id == key.key_id
    with pytest.raises(IntelGraphError, match="APPROVER_KEY_NOT_FOUND"):
        await world.keys.revoke(world.stranger, CAROL, key.key_id, "not theirs", None)


async def test_an_unsigned_approval_against_the_first_key(world: World) -> None:
    for _ in range(5):
        who = Caller(BOB.actor, BOB.roles)
        approval = await world.requested()
        keyless = await world.keys.page(world.tenant, "bob", b"", 1) == []
        key = SigningKey.generate()
        outcomes = await asyncio.gather(
            world.approve(approval, who), register(world, who, key), return_exceptions=True
        )
        approved, registered = outcomes
        assert keyless == isinstance(registered, ApproverKey)
        if isinstance(approved, Approval):
            # It came first: the entry of the key follows that of the approval.
            kinds = [entry.kind for entry in await world.told()]
            assert kinds.index("approval.approved") < kinds.index("approver_key.registered")
        else:
            assert getattr(approved, "reason", "") == "APPROVAL_SIGNATURE_MISSING"


@ALGORITHMS
def test_a_key_goes_through_its_file(algorithm: str) -> None:
    key = SigningKey.generate(algorithm)
    assert SigningKey.read(key.pem()).key_id == key.key_id
    assert SigningKey.read(key.pem(b"secret"), b"secret").key_id == key.key_id
    for wrong in (None, b"other"):
        with pytest.raises(InvalidArgument, match="APPROVER_KEY_UNREADABLE"):
            SigningKey.read(key.pem(b"secret"), wrong)
    assert len(key.sign(b"statement")) == 64


def test_other_keys_are_refused() -> None:
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    others = (
        ec.generate_private_key(ec.SECP384R1()).public_key().public_bytes(*form),
        rsa.generate_private_key(65537, 2048).public_key().public_bytes(*form),
        SigningKey.generate().pem(),
        b"",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    )
    for other in others:
        with pytest.raises(InvalidArgument, match="APPROVER_KEY_INVALID"):
            PublicKey.read(other)


async def test_of_a_person_without_keys_a_signature_is_none(world: World) -> None:
    approval = await world.requested()
    given = signature(approval, BOB, SigningKey.generate())
    assert await refusal(approve(world, approval, BOB, given)) == "APPROVER_KEY_NOT_FOUND"
    assert await refusal(approve(world, approval, ALICE, None)) == "APPROVAL_OWN_REQUEST"
