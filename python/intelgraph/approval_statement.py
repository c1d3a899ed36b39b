"""What an approver signs: the exact bytes, for the gateway, for the client and for an auditor alike.

    statement = decision_statement(facts, decision="approve", approver="bob", at_us=1_790_000_000_000_000)
    signature = key.sign(statement)

A statement is one JSON object in the form of RFC 8785, in UTF-8, and nothing else: no length, no prefix. Its
member `intelgraph` says what it is for, so that a signature under one kind of statement is none under another,
and `origin` says for which gateway. Its values are texts, booleans and integers below 2^53, for which sorted
keys and no whitespace are already the form of RFC 8785.
"""

import json
from dataclasses import dataclass
from typing import Final, Literal

DECISION_DOMAIN: Final = "approval-decision/v1"
KEY_DOMAIN: Final = "approver-key/v1"

DecisionWord = Literal["approve", "deny"]


@dataclass(frozen=True, slots=True)
class StatementFacts:
    """What is decided upon: everything that whoever could write to the database must not be able to change.

    `digest` is the SHA-256 of the document in the form of RFC 8785. `platform` says that the act concerns the
    platform as a whole, and not only the tenant. Times are microseconds since the Unix epoch.
    """

    origin: str
    tenant: str
    platform: bool
    approval_id: str
    kind: str
    digest: bytes
    role: str
    quorum: int
    requested_by: str
    expires_us: int


def decision_statement(facts: StatementFacts, *, decision: DecisionWord, approver: str, at_us: int) -> bytes:
    """The bytes that `approver` signs at `at_us`, by its own clock, to approve or to deny."""
    return _canonical(
        {
            "intelgraph": DECISION_DOMAIN,
            "origin": facts.origin,
            "tenant": facts.tenant,
            "platform": facts.platform,
            "approval": facts.approval_id,
            "kind": facts.kind,
            "digest": facts.digest.hex(),
            "role": facts.role,
            "quorum": facts.quorum,
            "requested_by": facts.requested_by,
            "expires_us": facts.expires_us,
            "decision": decision,
            "approver": approver,
            "at_us": at_us,
        }
    )


def key_statement(
    *,
    origin: str,
    tenant: str,
    action: Literal["register", "revoke"],
    approver: str,
    key_id: bytes,
    at_us: int,
) -> bytes:
    """The bytes that prove possession of a key that is registered, or that an owner's key signs for another.

    `key_id` is the SHA-256 of the public key as SubjectPublicKeyInfo in DER; the key belongs to `approver`.
    """
    return _canonical(
        {
            "intelgraph": KEY_DOMAIN,
            "origin": origin,
            "tenant": tenant,
            "action": action,
            "approver": approver,
            "key": key_id.hex(),
            "at_us": at_us,
        }
    )


def _canonical(statement: dict[str, str | bool | int]) -> bytes:
    return json.dumps(statement, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
