"""Every kind of approval says in plain words all that its document says."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intelgraph.approvals.document import LARGEST_BYTES, PlanDocument
from intelgraph.approvals.kinds import KINDS, ApprovalKind, Member, explanation, kind_of, title_of
from intelgraph.errors import InvalidArgument

PRINTABLE = st.characters(exclude_categories=("C", "Z"))
LINES = st.text(PRINTABLE, min_size=1, max_size=12)
NUMBERS = st.integers(0, 10_000)
VALUES = {
    Member.TEXT: LINES,
    Member.NUMBER: NUMBERS,
    Member.TEXTS: st.lists(LINES, min_size=1, max_size=3),
    Member.TEXT_OR_NULL: st.none() | LINES,
    Member.NUMBER_OR_NULL: st.none() | NUMBERS,
}
WRONG: tuple[object, ...] = (1.5, True, {}, "", " ", "a\nb", "\x1b[1A", "\u202ea", [""], [1], [])
EXAMPLES = settings(max_examples=50, deadline=None)
EVERY_KIND = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def documents(kind: ApprovalKind) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({name: VALUES[member] for name, member in kind.members.items()})


@EVERY_KIND
@EXAMPLES
@given(data=st.data())
def test_every_member_shows_in_the_explanation(kind: ApprovalKind, data: st.DataObject) -> None:
    document = data.draw(documents(kind))
    kind.check(document)
    text = " ".join(kind.explain(document))
    for value in document.values():
        for shown in value if isinstance(value, list) else [value]:
            assert shown is None or str(shown) in text


@EVERY_KIND
@EXAMPLES
@given(data=st.data())
def test_a_null_shows_too(kind: ApprovalKind, data: st.DataObject) -> None:
    document = data.draw(documents(kind))
    for name, member in kind.members.items():
        if member.admits(None):
            value = data.draw(LINES if member is Member.TEXT_OR_NULL else NUMBERS)
            assert kind.explain(document | {name: None}) != kind.explain(document | {name: value})


@EVERY_KIND
@EXAMPLES
@given(data=st.data())
def test_a_document_has_the_members_of_its_kind_and_no_others(
    kind: ApprovalKind, data: st.DataObject
) -> None:
    document = data.draw(documents(kind))
    for name in kind.members:
        lacking = {key: value for key, value in document.items() if key != name}
        assert refused(kind, lacking) == [f"/{name}"]
        for wrong in WRONG:
            assert refused(kind, document | {name: wrong}) == [f"/{name}"]
    assert refused(kind, document | {"more": 1}) == ["/more"]


def refused(kind: ApprovalKind, document: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidArgument) as caught:
        kind.check(document)
    assert caught.value.reason == "APPROVAL_DOCUMENT_UNFIT"
    return [violation.pointer for violation in caught.value.violations]


@pytest.mark.parametrize(
    ("before", "after", "pointers"),
    [
        ("legal-hold", "long-1825d", []),
        ("short-30d", "ephemeral-7d", []),
        ("short-30d", "short-30d", ["/after"]),
        ("short-30d", "legal-hold", ["/after"]),
        ("hold", "7d", ["/before", "/after"]),
    ],
)
def test_what_shortens_nothing_cannot_be_asked_for(before: str, after: str, pointers: list[str]) -> None:
    kind = kind_of("contract.shorten_retention")
    assert [each.pointer for each in kind.misfits({"before": before, "after": after}, "acme")] == pointers


@EVERY_KIND
def test_a_kind_asks_for_somebody_and_has_a_name(kind: ApprovalKind) -> None:
    assert kind.quorum >= 1
    assert KINDS[kind.name] is kind_of(kind.name) is kind
    assert title_of(kind.name) == kind.title
    assert "." in kind.name


def test_an_unknown_kind_is_refused_and_shown_as_what_it_is() -> None:
    with pytest.raises(InvalidArgument, match="APPROVAL_KIND_UNKNOWN"):
        kind_of("made.up")
    assert title_of("made.up") == "made.up"
    assert "does not know" in explanation("made.up", b"{}")[0]


@EXAMPLES
@given(st.dictionaries(st.text(max_size=8), st.integers(-(2**53), 2**53) | st.text(max_size=8), max_size=6))
def test_one_plan_has_one_digest_however_it_is_written(plan: dict[str, Any]) -> None:
    try:
        one = PlanDocument.of(plan)
    except InvalidArgument:
        assert any(
            "\ud800" <= char <= "\udfff" for text in json.dumps(plan, ensure_ascii=False) for char in text
        )
        return
    turned = dict(reversed(plan.items()))
    assert PlanDocument.read(json.dumps(turned, indent=3).encode()) == one
    assert one.members() == plan


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"[]",
        b'"a"',
        b"{",
        b'{"a":1,"a":2}',
        b'{"a":9007199254740993}',
        b'{"a":"\xff"}',
        b"{}" + b" " * LARGEST_BYTES,
    ],
)
def test_what_is_no_document_is_refused(written: bytes) -> None:
    with pytest.raises(InvalidArgument, match="APPROVAL_DOCUMENT_INVALID"):
        PlanDocument.read(written)


@pytest.mark.parametrize("plan", [{"a": float("nan")}, {"a": object()}, {"a": "\ud800"}])
def test_what_json_cannot_hold_is_refused(plan: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="APPROVAL_DOCUMENT_INVALID"):
        PlanDocument.of(plan)
