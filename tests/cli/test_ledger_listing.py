"""A list of entries says what it passed over."""

from collections.abc import Iterator

import pytest
from rich.console import Console

from intelgraph.cli import ledger_listing
from intelgraph.cli.ledger_listing import listing, listing_as_json, listing_view
from intelgraph.client import LedgerEntry, LedgerEntryState


def entry(index: int, kind: str) -> LedgerEntry:
    return LedgerEntry(
        index=index,
        state=LedgerEntryState.WHOLE,
        entry_id="e",
        kind=kind,
        subject="s",
        actor="olga",
        actor_method="cli",
        tenant="",
        at_us=1,
        sequenced_us=1,
        header=b"{}",
        payload=b"{}",
        header_salt=b"",
        payload_salt=b"",
        leaf=b"{}",
        erased_by_index=None,
    )


def entries() -> Iterator[LedgerEntry]:
    """Two of three tell of a token."""
    for index in range(30, 0, -1):
        yield entry(index, "tenant.created" if index % 3 == 0 else "token.minted")


def shown(listed: ledger_listing.Listing) -> str:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(listing_view(listed))
    return captured.get()


def test_tokens_are_counted_and_not_shown() -> None:
    listed = listing(entries(), 4, everything=False)
    assert [each.index for each in listed.entries] == [30, 27, 24, 21]
    assert shown(listed).splitlines()[-1] == "… 6 token.minted not shown; --all shows them"
    as_json = listing_as_json(listed)
    assert [each["index"] for each in as_json["entries"]] == [30, 27, 24, 21]
    assert (as_json["not_shown"], as_json["ended_early"]) == ({"token.minted": 6}, False)


def test_who_asks_for_everything_gets_it() -> None:
    listed = listing(entries(), 4, everything=True)
    assert [each.index for each in listed.entries] == [30, 29, 28, 27]
    assert "not shown" not in shown(listed)


def test_a_list_does_not_look_back_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_listing, "MOST_PASSED_OVER", 5)
    listed = listing(entries(), 50, everything=False)
    assert [each.index for each in listed.entries] == [30, 27, 24]
    assert listed.ended_early
    assert "what is older was not looked at" in " ".join(shown(listed).split())
