"""Contracts, and what publishing one does, for people and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from intelgraph.cli.moments import format_moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import RenderableType

    from intelgraph.client import Contract, Prospect, Published, RetentionEffect

HOLD = "legal-hold"


def contract_as_json(contract: Contract) -> dict[str, Any]:
    """A contract, without its document."""
    return {
        "dataset": contract.dataset,
        "version": contract.version,
        "digest": contract.digest.hex(),
        "published": format_moment(contract.published_us) if contract.published_us else None,
    }


def published_as_json(published: Published) -> dict[str, Any]:
    """What came of publishing."""
    return contract_as_json(published.contract) | {
        "created": published.created,
        "retention": asdict(published.retention),
    }


def prospect_as_json(prospect: Prospect, request: str) -> dict[str, Any]:
    """What would come of publishing; `request` asks for the approval, where it takes one."""
    return contract_as_json(prospect.contract) | {
        "is_published": prospect.published,
        "retention": asdict(prospect.retention),
        "approval_document": prospect.approval_document or None,
        "request": request or None,
    }


def contract_table(contracts: Iterable[Contract]) -> Table:
    """Contracts, one a row."""
    table = _columns()
    for contract in contracts:
        table.add_row(*_cells(contract))
    return table


def published_view(published: Sequence[Published]) -> RenderableType:
    """What came of publishing, and what it does to how long datasets are kept."""
    table = _columns()
    table.add_column("")
    for each in published:
        table.add_row(*_cells(each.contract), "published" if each.created else "was there already")
    notes = [_retention_note(each.contract, each.retention, "are due now") for each in published]
    return Group(table, *(note for note in notes if note is not None))


def prospect_view(prospects: Sequence[Prospect]) -> RenderableType:
    """What would come of publishing."""
    table = _columns()
    table.add_column("")
    for each in prospects:
        table.add_row(*_cells(each.contract), "is published" if each.published else "can be published")
    notes = [_retention_note(each.contract, each.retention, "would be due") for each in prospects]
    return Group(table, *(note for note in notes if note is not None))


def _retention_note(contract: Contract, effect: RetentionEffect, due: str) -> Text | None:
    """What is to be known of how long the dataset is kept; None where all stays as it was."""
    name = f"{contract.dataset} {contract.version}"
    if effect.shortens:
        what = (
            "lifts the legal hold" if effect.before == HOLD else f"keeps for less long than {effect.before}"
        )
        return Text(
            f"{name} {what}: from then on {effect.after}. At most {effect.due_changes:,} changes and"
            f" {effect.due_quarantined:,} records in quarantine {due}.",
            "bold yellow",
        )
    if effect.stated != effect.after:
        return Text(
            f"{name} says {effect.stated}, and decides nothing: a newer version says {effect.after}.",
            "yellow",
        )
    if effect.before and effect.before != effect.after:
        return Text(f"{name} keeps the dataset as {effect.after} from then on, formerly {effect.before}.")
    return None


def _columns() -> Table:
    table = Table()
    for column in ("dataset", "version", "published", "digest (SHA-256)"):
        table.add_column(column, overflow="fold")
    return table


def _cells(contract: Contract) -> tuple[str, str, str, str]:
    shortened = contract.digest.hex()[:16] + "…"
    published = format_moment(contract.published_us) if contract.published_us else ""
    return contract.dataset, contract.version, published, shortened
