"""An approval as a document by itself, and its check: for auditors, who need not trust the database.

    faults = check(json.loads(Path("approval.json").read_bytes()), trusted={key_id})

`intelgraph approvals show ID --json` writes it. It holds the document that was approved, what each person said as
the bytes that were signed, and the public keys. `docs/approvals.md` tells how to check it with other tools.
"""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from intelgraph._core import CoreError, canonical_json
from intelgraph.approval_statement import StatementFacts, decision_statement
from intelgraph.approvals.kinds import KINDS, explanation
from intelgraph.approvals.signing import PublicKey
from intelgraph.errors import InvalidArgument
from intelgraph.person import person_of

FORMAT: Final = "intelgraph.approval/v1"
_CONSENTED: Final = {"approved", "used"}


def check(proof: Mapping[str, Any], trusted: Collection[bytes] | None = None) -> list[str]:
    """What is wrong with it, a sentence each; none if it proves that the document was approved as it says.

    `trusted` are ids of the keys that are known to be the approvers': with them each approval has to be signed by
    one. Without them a signature shows that whoever holds its key signed, and an approval without one shows only
    that the database says so. Raises InvalidArgument APPROVAL_PROOF_INVALID for what is no such document.
    """
    try:
        return list(_faults(proof, trusted))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _invalid(type(error).__name__) from error


def signed(proof: Mapping[str, Any]) -> int:
    """How many of its approvals are signed."""
    said = [each for each in proof["decisions"] if each["decision"] == "approve"]
    return sum(1 for each in said if each["signature"])


def _faults(proof: Mapping[str, Any], trusted: Collection[bytes] | None) -> Iterator[str]:
    if proof.get("format") != FORMAT:
        raise _invalid("its format is not " + FORMAT)
    document = proof["document"].encode()
    if hashlib.sha256(document).hexdigest() != proof["digest"]:
        yield "the digest is not the SHA-256 of the document"
    if not _is_canonical(document):
        yield "the document is not JSON in the form of RFC 8785"
    yield from _faults_of_words(proof, document)
    facts = StatementFacts(
        origin=proof["origin"],
        tenant=proof["tenant"],
        platform=proof["platform"],
        approval_id=proof["approval_id"],
        kind=proof["kind"],
        digest=bytes.fromhex(proof["digest"]),
        role=proof["role"],
        quorum=proof["quorum"],
        requested_by=proof["requested_by"],
        expires_us=proof["expires_us"],
    )
    for decision in proof["decisions"]:
        yield from _faults_of(decision, facts, trusted)
    yield from _faults_of_quorum(proof)


def _faults_of_words(proof: Mapping[str, Any], document: bytes) -> Iterator[str]:
    """What is said beside the document has to be what it says: people read the words."""
    kind = KINDS.get(proof["kind"])
    if kind is None:
        yield f"this version does not know the kind {proof['kind']}, and cannot tell what the document says"
        return
    try:
        kind.check(json.loads(document))
    except InvalidArgument:
        yield f"the document is not one of the kind {kind.name}"
        return
    plan = list(explanation(kind.name, document))
    if proof["plan"] != plan:
        yield f"the plan is not in the words that this version has for the document: {' '.join(plan)}"


def _faults_of(
    decision: Mapping[str, Any], facts: StatementFacts, trusted: Collection[bytes] | None
) -> Iterator[str]:
    who, word = decision["approver"], decision["decision"]
    statement = decision["statement"].encode()
    at_us = json.loads(statement)["at_us"]
    if statement != decision_statement(facts, decision=word, approver=who, at_us=at_us):
        yield f"what {who} stated is not about this approval"
    if not decision["signature"]:
        if trusted is not None and word == "approve":
            yield f"the approval of {who} is not signed"
        return
    try:
        key = PublicKey.read(decision["public_key"].encode())
        key.verify(statement, base64.b64decode(decision["signature"], validate=True))
    except InvalidArgument as error:
        yield f"the signature of {who} does not hold: {error.message}"
        return
    if decision["algorithm"] != key.algorithm:
        yield f"the key of {who} is one of {key.algorithm}"
    if trusted is not None and key.key_id not in trusted:
        yield f"{who} signed with a key that is not trusted: {key.key_id.hex()}"


def _faults_of_quorum(proof: Mapping[str, Any]) -> Iterator[str]:
    said = Counter(
        person_of(each["approver"]) for each in proof["decisions"] if each["decision"] == "approve"
    )
    for who in sorted(who for who, times in said.items() if times > 1):
        yield f"{who} counts more than once"
    if person_of(proof["requested_by"]) in said:
        yield f"{proof['requested_by']} asked for it and approved it"
    missing = max(0, proof["quorum"] - len(said.keys() - {person_of(proof["requested_by"])}))
    if proof["missing"] != missing:
        yield f"it says that {proof['missing']} are missing, and {missing} are"
    if proof["state"] not in _CONSENTED:
        return
    if len(said) < proof["quorum"]:
        yield f"it took {proof['quorum']} persons, and {len(said)} approved"
    for decision in proof["decisions"]:
        if decision["decision"] == "deny":
            yield f"{decision['approver']} denied it"


def _is_canonical(document: bytes) -> bool:
    try:
        return canonical_json(document) == document
    except CoreError:
        return False


def _invalid(why: str) -> InvalidArgument:
    return InvalidArgument(
        "APPROVAL_PROOF_INVALID",
        f"the file is no approval that can be checked ({why})",
        fix="write it with `intelgraph approvals show ID --json`",
    )
