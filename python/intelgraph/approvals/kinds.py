"""The kinds of acts that need an approval: a closed table, and the one place where a kind is added.

A kind says which members its document has, and tells from them in plain words what will happen. A document
with a member that the kind does not know is refused: what nobody explains nobody can approve. So every member
has to show in what `explain` says, which `tests/approvals/test_kinds.py` holds every kind to. A text is one
line of printable characters: nothing that a terminal would act upon, or show in another order.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from intelgraph.contracts.retention_classes import DAYS, HOLD, is_shorter
from intelgraph.errors import FieldViolation, InvalidArgument
from intelgraph.flags.table import FLAGS, FlagKind

Document = Mapping[str, object]
Explanation = tuple[str, ...]
Misfits = tuple[FieldViolation, ...]


class Scope(Enum):
    """Whom an act concerns."""

    TENANT = "tenant"
    """One tenant, and its own people approve."""
    PLATFORM = "platform"
    """All of the platform, and people of the platform tenant approve."""
    EITHER = "either"
    """As the request says."""


class Member(Enum):
    """What a member of a document holds."""

    TEXT = "one line of text"
    NUMBER = "an integer"
    TEXTS = "a list of lines of text, one or more"
    TEXT_OR_NULL = "one line of text, or null"
    NUMBER_OR_NULL = "an integer, or null"

    def admits(self, value: object) -> bool:
        """Whether a member of this sort may have the value."""
        if value is None:
            return self in {Member.TEXT_OR_NULL, Member.NUMBER_OR_NULL}
        if isinstance(value, str):
            return self in {Member.TEXT, Member.TEXT_OR_NULL} and is_line(value)
        if isinstance(value, list):
            lines = all(isinstance(text, str) and is_line(text) for text in value)
            return self is Member.TEXTS and bool(value) and lines
        if isinstance(value, int) and not isinstance(value, bool):
            return self in {Member.NUMBER, Member.NUMBER_OR_NULL}
        return False


def _fits_anybody(_document: Document, _tenant: str | None) -> Misfits:
    return ()


@dataclass(frozen=True, slots=True)
class ApprovalKind:
    """One kind. `quorum` is the least that a request may ask for, of the holders of `role`.

    Where `role` is None the request names one.
    """

    name: str
    title: str
    scope: Scope
    quorum: int
    role: str | None
    members: Mapping[str, Member]
    explain: Callable[[Document], Explanation]
    """What will happen, a sentence each, from a document whose members are as `members` says."""
    misfits: Callable[[Document, str | None], Misfits] = _fits_anybody
    """What of a document cannot be asked for by this tenant, or, for None, for the platform as a whole: an act that
    nothing will ever do must not be shown to those who decide."""
    while_forked: bool = False
    """Whether it can be asked for and approved while the ledger takes no entries: `entries` says how."""

    def check(self, document: Document) -> None:
        """Raises InvalidArgument APPROVAL_DOCUMENT_UNFIT unless the document has these members and no others."""
        violations = [
            FieldViolation(f"/{name}", f"the kind {self.name} has no such member: take it out")
            for name in sorted(document.keys() - self.members.keys())
        ]
        violations += [
            FieldViolation(f"/{name}", f"must be there, and be {member.value}")
            for name, member in self.members.items()
            if name not in document or not member.admits(document[name])
        ]
        self._require(tuple(violations))

    def check_for(self, document: Document, tenant: str | None) -> None:
        """Raises as `check` where the tenant, or for None the platform, cannot ask for what the document says."""
        self._require(self.misfits(document, tenant))

    def _require(self, violations: Misfits) -> None:
        if violations:
            raise InvalidArgument(
                "APPROVAL_DOCUMENT_UNFIT",
                f"the document is not one of the kind {self.name}",
                fix="correct what the violations name; docs/approvals.md lists the members of each kind",
                violations=violations,
            )


def title_of(name: str) -> str:
    """What the kind is, in a few words; its name where a newer gateway asked."""
    kind = KINDS.get(name)
    return kind.title if kind is not None else name


def explanation(name: str, content: bytes) -> Explanation:
    """What the document says, in plain words."""
    kind = KINDS.get(name)
    if kind is None:
        return ("This gateway does not know the kind, and cannot explain it: ask a newer one.",)
    return kind.explain(json.loads(content))


def is_line(text: str) -> bool:
    """Whether it is one line that shows as it is: not blank, no control, bidi or other invisible characters."""
    return text.isprintable() and bool(text.strip())


def kind_of(name: str) -> ApprovalKind:
    """The kind of that name. Raises InvalidArgument APPROVAL_KIND_UNKNOWN."""
    kind = KINDS.get(name)
    if kind is None:
        raise InvalidArgument(
            "APPROVAL_KIND_UNKNOWN",
            "there is no such kind of approval",
            fix=f"use one of {', '.join(KINDS)}",
        )
    return kind


def _flag_change(document: Document) -> Explanation:
    tenant, share = document["tenant"], document["share_percent"]
    whom = f"for the tenant {tenant}" if tenant is not None else "for all tenants"
    if share is not None:
        whom += f", for a share of {share} %"
    return (
        f"The flag {document['flag']} is changed from {document['before']} to {document['after']} {whom}.",
        *(_effect(flag) for flag in FLAGS.values() if flag.name == document["flag"]),
    )


def _effect(flag: FlagKind) -> str:
    when = (
        "All gateways go by it within two seconds."
        if flag.acts
        else "This version stores, shows and records it, and does not act on it yet."
    )
    return f"What {flag.weakened} does: {flag.effect}. {when}"


def _flag_misfits(document: Document, tenant: str | None) -> Misfits:
    names = [flag.name for flag in FLAGS.values()]
    of_all = "must be null: the act concerns the platform as a whole"
    of_one = "must be null: a share is set for all tenants, with --platform"
    wrong = (
        ("flag", document["flag"] not in names, f"must be one of {', '.join(names)}"),
        ("tenant", document["tenant"] != tenant, of_all if tenant is None else f"must be {tenant}, who asks"),
        (
            "share_percent",
            (document["share_percent"] is None) == (tenant is None),
            "must be there: the act concerns the platform as a whole" if tenant is None else of_one,
        ),
    )
    return tuple(FieldViolation(f"/{member}", rule) for member, misfits, rule in wrong if misfits)


def _register_key(document: Document) -> Explanation:
    owner = document["approver"]
    return (
        f"The key {document['key_id']} is registered for {owner}, all of whose keys were revoked.",
        f"From then on it signs what {owner} approves: make sure that it is {owner} who asks, and whose key it is.",
    )


def _shorten_retention(document: Document) -> Explanation:
    dataset, before = document["dataset"], document["before"]
    lifted = f"The legal hold on {dataset} is lifted: all" if before == HOLD else "All"
    return (
        f"{lifted} of {dataset} is kept as {document['after']} from then on, and no longer as {before}.",
        f"Version {document['version']} of its contract is published (SHA-256 {document['digest']}).",
        f"The next run of retention removes at most {document['due_changes']} changes for good,",
        f"and at most {document['due_quarantined']} records in quarantine.",
    )


def _retention_misfits(document: Document, _tenant: str | None) -> Misfits:
    before, after = str(document["before"]), str(document["after"])
    unknown = tuple(
        FieldViolation(f"/{member}", f"must be one of {', '.join(DAYS)}")
        for member, name in (("before", before), ("after", after))
        if name not in DAYS
    )
    if unknown or is_shorter(after, before):
        return unknown
    return (
        FieldViolation("/after", f"must be shorter than {before}: a class that is not takes no approval"),
    )


def _acknowledge_fork(document: Document) -> Explanation:
    return (
        f"The database was restored: from index {document['index']} its ledger is not {document['origin']}.",
        f"The signed checkpoint of {document['signed_size']} entries (root {document['signed_root']}) is given up.",
        f"The database's log of {document['database_size']} entries (root {document['database_root']}) goes on.",
        "The fork stays on record, as an entry of that log.",
    )


def _erase_entry(document: Document) -> Explanation:
    about = f"tenant {document['tenant_id']}" if document["tenant_id"] is not None else "platform"
    return (
        f"Header and payload of entry {document['index']} of the ledger, {document['entry_id']}, are erased for good.",
        f"It is of the kind {document['kind']}, about the {about}.",
        f"`intelgraph ledger show {document['index']}` shows all that goes.",
        f"Its leaf stays, and every proof: {document['leaf']}",
        f"The entry that says who erased it gives as the reason: {document['reason']}",
    )


def _manual_act(document: Document) -> Explanation:
    steps = document["steps"]
    numbered = enumerate(steps, start=1) if isinstance(steps, list) else ()
    return (
        f"A person does by hand: {document['summary']}",
        *(f"Step {number}: {step}" for number, step in numbered),
    )


KINDS: Final[Mapping[str, ApprovalKind]] = {
    kind.name: kind
    for kind in (
        ApprovalKind(
            name="flag.change",
            title="change a flag",
            scope=Scope.EITHER,
            quorum=1,
            role="security-officer",
            members={
                "flag": Member.TEXT,
                "before": Member.TEXT,
                "after": Member.TEXT,
                "tenant": Member.TEXT_OR_NULL,
                "share_percent": Member.NUMBER_OR_NULL,
            },
            explain=_flag_change,
            misfits=_flag_misfits,
        ),
        ApprovalKind(
            name="approver_key.register",
            title="register a key for who has none in force any more",
            scope=Scope.TENANT,
            quorum=2,  # or who revoked the former keys could let a thief of the owner's token in alone
            role="security-officer",
            members={"approver": Member.TEXT, "key_id": Member.TEXT},
            explain=_register_key,
        ),
        ApprovalKind(
            name="contract.shorten_retention",
            title="lift a legal hold, or keep a dataset for less long",
            scope=Scope.TENANT,
            quorum=1,
            role="security-officer",
            members={
                "dataset": Member.TEXT,
                "version": Member.TEXT,
                "digest": Member.TEXT,
                "before": Member.TEXT,
                "after": Member.TEXT,
                "due_changes": Member.NUMBER,
                "due_quarantined": Member.NUMBER,
            },
            explain=_shorten_retention,
            misfits=_retention_misfits,
        ),
        ApprovalKind(
            name="ledger.acknowledge_fork",
            title="go on after a fork of the ledger",
            scope=Scope.PLATFORM,
            quorum=1,  # two persons with the one who asks
            role="security-officer",
            members={
                "origin": Member.TEXT,
                "index": Member.NUMBER,
                "signed_size": Member.NUMBER,
                "signed_root": Member.TEXT,
                "database_size": Member.NUMBER,
                "database_root": Member.TEXT,
            },
            explain=_acknowledge_fork,
            while_forked=True,
        ),
        ApprovalKind(
            name="ledger.erase",
            title="erase an entry of the ledger",
            scope=Scope.PLATFORM,
            quorum=1,
            role="security-officer",
            members={
                "index": Member.NUMBER,
                "entry_id": Member.TEXT,
                "kind": Member.TEXT,
                "tenant_id": Member.TEXT_OR_NULL,
                "leaf": Member.TEXT,
                "reason": Member.TEXT,
            },
            explain=_erase_entry,
        ),
        ApprovalKind(
            name="manual.act",
            title="act by hand",
            scope=Scope.EITHER,
            quorum=1,
            role=None,
            members={"summary": Member.TEXT, "steps": Member.TEXTS},
            explain=_manual_act,
        ),
    )
}
"""Every kind by its name."""
