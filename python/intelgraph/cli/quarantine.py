"""`intelgraph quarantine`: shows what broke its contract, and how: what waits, and what was stored all the same."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from rich.console import Group
from rich.json import JSON
from rich.table import Table
from rich.text import Text

from intelgraph.cli.broken_rules import broken_rules_table, sum_up
from intelgraph.cli.invocation import invocation
from intelgraph.cli.moments import format_moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from intelgraph.client import (
        QuarantineDetail,
        QuarantinedRecord,
        QuarantineEntry,
        StoredChange,
        Violation,
    )

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Show what waits in quarantine, and why.",
)


@app.command("list")
def list_(
    context: typer.Context,
    dataset: Annotated[
        str, typer.Argument(help="Only of this dataset; by default all.", show_default=False)
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="Most entries to show.")] = 50,
    stored: Annotated[
        bool, typer.Option("--stored", help="What was stored all the same, because the contract only warned.")
    ] = False,
) -> None:
    """List entries, newest first. Each is about the records of one batch that broke the contract."""
    called = invocation(context)
    with called.client("auditor") as client:
        entries = list(islice(client.quarantine.list(dataset, stored=stored), limit))
        total = client.quarantine.total_records(dataset, stored=stored)
    called.show(
        {"total_records": total, "entries": [_entry_as_json(entry) for entry in entries]},
        lambda: Group(
            entry_table(entries),
            Text(f"{total:,} records {'were stored all the same' if stored else 'wait'} altogether"),
        ),
    )


@app.command()
def show(
    context: typer.Context,
    quarantine_id: Annotated[UUID, typer.Argument(help="The entry.", show_default=False)],
    records: Annotated[
        bool,
        typer.Option("--records", help="Show the records too, decrypted, or the changes that store them."),
    ] = False,
) -> None:
    """Show an entry with the rules that its records break."""
    called = invocation(context)
    with called.client("auditor") as client:
        detail = client.quarantine.get(quarantine_id, with_records=records)
    called.show(_detail_as_json(detail), lambda: _detail_for_people(detail))


def _entry_as_json(entry: QuarantineEntry) -> dict[str, Any]:
    return {
        "quarantine_id": str(entry.quarantine_id),
        "dataset": entry.dataset,
        "stream_id": entry.stream_id,
        "sequence": entry.sequence,
        "producer": entry.producer,
        "records": entry.records,
        "recorded": format_moment(entry.recorded_us),
        "contract_version": entry.contract_version,
        "state": entry.state.name.lower(),
    }


def _detail_as_json(detail: QuarantineDetail) -> dict[str, Any]:
    return _entry_as_json(detail.entry) | {
        "broken_rules": [_violation_as_json(violation) for violation in detail.report.violations],
        "omitted_violations": detail.report.omitted_violations,
        "records_held": [{"index": record.index, "document": _text(record)} for record in detail.records],
        "changes": [{"seq": change.seq, "entity_id": str(change.entity_id)} for change in detail.changes],
    }


def _violation_as_json(violation: Violation) -> dict[str, Any]:
    return {
        "rule": violation.rule,
        "pointer": violation.instance_pointer,
        "schema_pointer": violation.schema_pointer,
        "count": violation.count,
        "record_indexes": list(violation.record_indexes),
        "found": violation.found,
        "fix": violation.fix,
    }


def entry_table(entries: list[QuarantineEntry]) -> Table:
    """Entries, one a row, within 80 columns; identifiers are whole, since they are there to be handed on."""
    table = Table(header_style="bold", box=None, collapse_padding=True, pad_edge=False)
    table.add_column("quarantine id, stream, recorded", min_width=36, overflow="fold")
    table.add_column("batch", justify="right", no_wrap=True)
    table.add_column("dataset", overflow="fold")
    table.add_column("records", justify="right", no_wrap=True)
    table.add_column("contract", min_width=8, overflow="fold")
    for entry in entries:
        table.add_row(
            Text(f"{entry.quarantine_id}\n{entry.stream_id}\n{format_moment(entry.recorded_us)}"),
            f"{entry.sequence:,}",
            entry.dataset,
            f"{entry.records:,}",
            entry.contract_version,
        )
    return table


def _detail_for_people(detail: QuarantineDetail) -> RenderableType:
    parts: list[RenderableType] = [
        entry_table([detail.entry]),
        broken_rules_table(sum_up([detail.report]), "What the records break"),
    ]
    for record in detail.records:
        parts.append(Text(f"record {record.index}", style="bold"))
        try:
            parts.append(JSON(_text(record)))
        except ValueError:
            parts.append(Text(_text(record)))
    if detail.changes:
        parts.append(_changes_table(detail.changes))
    return Group(*parts)


def _changes_table(changes: Sequence[StoredChange]) -> Table:
    table = Table(title="Stored as", title_justify="left", title_style="bold yellow")
    table.add_column("change", justify="right")
    table.add_column("entity", overflow="fold")
    for change in changes:
        table.add_row(f"{change.seq:,}", str(change.entity_id))
    return table


def _text(record: QuarantinedRecord) -> str:
    # A record may be in quarantine because it is not UTF-8.
    return record.document.decode(errors="backslashreplace")
