"""An approval counted anew, before an act relies on it: by what was said, and not by its state.

Whoever may write to the database can write `approved` into a row. What persons stated is about one approval as it
was when they saw it, and where they have a key it is signed: so this goes by their statements, as an auditor does
(`proof`), with the keys that the tenant's people have registered. Of a person without a key only the database
says what it stated.
"""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from intelgraph.approval_statement import decision_statement
from intelgraph.approvals.approval import Approval, Decision, to_us
from intelgraph.approvals.kinds import kind_of
from intelgraph.approvals.signing import PublicKey
from intelgraph.errors import DataLoss, InvalidArgument
from intelgraph.person import person_of

if TYPE_CHECKING:
    from intelgraph.approvals.keys import ApproverKey


def require_borne_out(approval: Approval, keys: "Sequence[ApproverKey]") -> None:
    """Raises DataLoss APPROVAL_CONTRADICTED unless as many persons have approved it as it takes.

    `keys` are all that were ever registered in its tenant. Whoever has registered one by now has to have signed, at
    a time at which the key was in force: when a person had none yet only the database could say.
    """
    for fault in _faults(approval, keys):
        raise DataLoss(
            "APPROVAL_CONTRADICTED",
            f"the state of the approval is approved, and what is stored of it contradicts that: {fault}",
            fix=f"ask for another, and find out who wrote to the database: `intelgraph approvals show"
            f" {approval.approval_id}` and `intelgraph ledger list --subject approval:{approval.approval_id}` tell what"
            " was decided",
        )


def _faults(approval: Approval, keys: "Sequence[ApproverKey]") -> Iterator[str]:
    kind = kind_of(approval.kind)
    if approval.quorum < kind.quorum or kind.role not in {None, approval.role}:
        yield f"the kind {kind.name} takes {kind.quorum} of the role {kind.role or approval.role}"
    for decision in approval.decisions:
        if decision.word == "deny":
            yield f"{decision.approver} denied it"
        else:
            yield from _faults_of(approval, decision, keys)
    if approval.missing:
        yield f"{len(approval.approvers)} of the {approval.quorum} persons that it takes have approved it"


def _faults_of(approval: Approval, decision: Decision, keys: "Sequence[ApproverKey]") -> Iterator[str]:
    who = decision.approver
    at_us = _at_us(decision.statement)
    stated = at_us is not None and decision_statement(
        approval.statement_facts, decision=decision.word, approver=who, at_us=at_us
    )
    if at_us is None or decision.statement != stated:
        yield f"what {who} stated is not about it"
        return
    own = {key.key_id: key for key in keys if key.person == person_of(who)}
    signature = decision.signature
    if signature is None:
        if own:
            yield f"the approval of {who} is not signed, and {who} has registered a key"
        return
    key = own.get(signature.key_id)
    if key is None:
        yield f"it is signed with no key of {who}"
        return
    if key.revoked_at is not None and at_us > to_us(key.revoked_at):
        yield f"{who} signed with a key that was revoked"
    try:
        PublicKey(key.algorithm, key.public_key).verify(decision.statement, signature.value)
    except InvalidArgument:
        yield f"{who}'s signature does not hold"


def _at_us(statement: bytes) -> int | None:
    """When it says that it was made."""
    try:
        at_us = json.loads(statement)["at_us"]
    except (ValueError, KeyError, TypeError):
        return None
    return at_us if isinstance(at_us, int) else None
