"""`intelgraph ingest`: streams files into a dataset."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from intelgraph.cli.broken_rules import BrokenRule, broken_rules, broken_rules_table
from intelgraph.cli.csv_records import DEFAULT_NULLS, ColumnType, column_types
from intelgraph.cli.invocation import Invocation, invocation
from intelgraph.cli.load_progress import LoadProgress
from intelgraph.cli.loading import Destination, Loaded, load, new_stream_id, p95, producer_of_this_host
from intelgraph.cli.record_source import STANDARD_INPUT, Format, open_source
from intelgraph.errors import PermissionDenied

if TYPE_CHECKING:
    from rich.console import RenderableType

    from intelgraph.client import AsyncClient

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@dataclass(frozen=True, slots=True)
class _Work:
    """What was asked for."""

    destination: Destination
    files: list[Path]
    format: Format | None
    nulls: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Summary:
    """What came of it. `rules` is None where the caller may not read the quarantine."""

    loads: list[Loaded]
    rules: list[BrokenRule] | None


@app.command()
def ingest(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="Dataset that all records belong to.", show_default=False)],
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="CSV or NDJSON files; `-`, and none, is standard input.", show_default=False),
    ] = None,
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="How records are written; by default as the file's suffix says."),
    ] = None,
    null: Annotated[
        list[str] | None,
        typer.Option(help="CSV cell that means null; may be repeated. By default the empty cell and NA."),
    ] = None,
    stream_id: Annotated[
        str | None, typer.Option(help="Stream to resume; by default a new one for this run.")
    ] = None,
    producer: Annotated[str | None, typer.Option(help="Provenance; by default cli@ and the host.")] = None,
    contract_version: Annotated[str, typer.Option(help="By default the newest published.")] = "",
    source_region: Annotated[str, typer.Option(help="Region the records were produced in.")] = "",
) -> None:
    """Stream records from files or standard input into a dataset.

    CSV cells are typed by the contract's schema; NDJSON holds one JSON document a line. Each record arrives
    exactly once, whatever happens to the connection meanwhile; ingesting the same file again stores nothing
    twice. Ends with 1 if records were quarantined, rejected or unreadable.
    """
    called = invocation(context)
    work = _Work(
        destination=Destination(
            dataset=dataset,
            stream_id=stream_id or new_stream_id(dataset),
            producer=producer or producer_of_this_host(),
            contract_version=contract_version,
            source_region=source_region,
        ),
        files=files or [STANDARD_INPUT],
        format=format_,
        nulls=frozenset(null if null is not None else DEFAULT_NULLS),
    )
    summary = asyncio.run(_ingest(called, work))
    called.show(_as_json(summary), lambda: _for_people(summary))
    if any(loaded.has_findings for loaded in summary.loads):
        raise typer.Exit(1)


async def _ingest(called: Invocation, work: _Work) -> _Summary:
    async with called.async_client("connector", "auditor") as client:
        types = await _column_types(client, work.destination)
        loads = []
        with LoadProgress(shown=not called.json) as progress:
            for path in work.files:
                with open_source(path, work.format, types, work.nulls) as source:
                    bar = progress.bar(source.name, source.size)
                    loads.append(await load(client, work.destination, source, bar.advance))
                    bar.finish()
        entries = [entry for loaded in loads for entry in loaded.quarantine_ids]
        try:
            return _Summary(loads, await broken_rules(client, entries))
        except PermissionDenied:
            return _Summary(loads, None)


async def _column_types(client: AsyncClient, destination: Destination) -> dict[str, ColumnType]:
    contract = await client.contracts.get(destination.dataset, destination.contract_version)
    return column_types(contract.json().get("schema", {}))


def _as_json(summary: _Summary) -> dict[str, Any]:
    first = summary.loads[0].destination
    return {
        "dataset": first.dataset,
        "stream_id": first.stream_id,
        "sent": sum(loaded.totals.sent for loaded in summary.loads),
        "accepted": sum(loaded.totals.accepted for loaded in summary.loads),
        "unchanged": sum(loaded.totals.unchanged for loaded in summary.loads),
        "duplicate": sum(loaded.totals.duplicate for loaded in summary.loads),
        "quarantined": sum(loaded.totals.quarantined for loaded in summary.loads),
        "rejected": sum(loaded.totals.rejected for loaded in summary.loads),
        "settled_on_resume": sum(loaded.totals.settled_on_resume for loaded in summary.loads),
        "unreadable": sum(loaded.unreadable.total for loaded in summary.loads),
        "seconds": round(sum(loaded.seconds for loaded in summary.loads), 3),
        "p95_ack_ms": round(1000 * p95(_ack_seconds(summary.loads)), 1),
        "reconnects": sum(loaded.reconnects for loaded in summary.loads),
        "broken_rules": None if summary.rules is None else [rule.as_json() for rule in summary.rules],
        "quarantine_ids": [str(entry) for loaded in summary.loads for entry in loaded.quarantine_ids],
    }


def _for_people(summary: _Summary) -> RenderableType:
    parts: list[RenderableType] = [_counts(summary.loads)]
    parts += [_rejections(loaded) for loaded in summary.loads if loaded.rejections]
    parts += [_unreadable(loaded) for loaded in summary.loads if loaded.unreadable.total]
    if any(loaded.totals.quarantined for loaded in summary.loads):
        parts.append(_quarantined(summary))
    return Group(*parts)


def _counts(loads: list[Loaded]) -> Table:
    table = Table(show_header=True, header_style="bold")
    for column in ("stream", "sent", "accepted", "unchanged", "duplicate", "quarantined", "rate", "p95 ack"):
        table.add_column(column, justify="left" if column == "stream" else "right")
    for loaded in loads:
        totals = loaded.totals
        table.add_row(
            loaded.destination.stream_id,
            f"{totals.sent:,}",
            f"{totals.accepted:,}",
            f"{totals.unchanged:,}",
            f"{totals.duplicate:,}",
            f"{totals.quarantined:,}",
            f"{loaded.records_per_second:,.0f}/s",
            f"{1000 * p95(loaded.ack_seconds):,.0f} ms",
        )
    return table


def _rejections(loaded: Loaded) -> Text:
    lines = [
        f"batch {outcome.sequence} ({outcome.records:,} records from record {outcome.first_record:,} on)"
        f" was rejected: {outcome.error}"
        for outcome in loaded.rejections
    ]
    return Text("\n".join(lines), style="red")


def _unreadable(loaded: Loaded) -> Text:
    lines = [
        f"{count:,} lines hold no record: {problem} (line {', '.join(f'{line:,}' for line in first)}"
        f"{', …' if count > len(first) else ''})"
        for problem, (count, first) in loaded.unreadable.problems.items()
    ]
    return Text("\n".join(lines), style="red")


def _quarantined(summary: _Summary) -> RenderableType:
    dataset = summary.loads[0].destination.dataset
    look = Text(
        f"Look closer with `intelgraph quarantine list {dataset}` and `intelgraph quarantine show ID`."
    )
    if summary.rules is None:
        return Group(
            Text("Why they were quarantined is for those who may read the quarantine.", "yellow"), look
        )
    if not summary.rules:
        return Group(Text("The quarantined records waited in quarantine already.", "yellow"), look)
    return Group(broken_rules_table(summary.rules, "Quarantined, and why"), look)


def _ack_seconds(loads: list[Loaded]) -> tuple[float, ...]:
    return tuple(second for loaded in loads for second in loaded.ack_seconds)
