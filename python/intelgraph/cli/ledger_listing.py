"""A list of the ledger's entries without the many that tell of nothing but that somebody called.

Every call of the command line mints a token, and every token is an entry. In a ledger of some days most entries are
those, and what somebody did is lost among them. So a list passes over them, and says how many: none is hidden from
who asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.text import Text

from intelgraph.cli.ledger_view import entry_as_json, entry_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from intelgraph.client import LedgerEntry

PASSED_OVER: Final = "token.minted"

MOST_PASSED_OVER: Final = 10_000
"""A list ends there: whoever looks further back names a kind."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What is shown, and how many newer or between were passed over."""

    entries: tuple[LedgerEntry, ...]
    passed_over: int
    ended_early: bool


def listing(entries: Iterable[LedgerEntry], limit: int, *, everything: bool) -> Listing:
    """The first `limit` of the entries, of which those that are passed over do not count."""
    shown: list[LedgerEntry] = []
    passed_over = 0
    for entry in entries:
        if everything or entry.kind != PASSED_OVER:
            shown.append(entry)
        else:
            passed_over += 1
        if len(shown) == limit or passed_over == MOST_PASSED_OVER:
            break
    return Listing(tuple(shown), passed_over, passed_over == MOST_PASSED_OVER)


def listing_as_json(listed: Listing) -> dict[str, Any]:
    """For programs: they too are told what is not there."""
    return {
        "entries": [entry_as_json(entry) for entry in listed.entries],
        "not_shown": {PASSED_OVER: listed.passed_over},
        "ended_early": listed.ended_early,
    }


def listing_view(listed: Listing) -> RenderableType:
    """For people."""
    table = entry_table(listed.entries)
    if not listed.passed_over:
        return table
    older = ", and what is older was not looked at" if listed.ended_early else ""
    return Group(
        table, Text(f"… {listed.passed_over:,} {PASSED_OVER} not shown{older}; --all shows them", style="dim")
    )
