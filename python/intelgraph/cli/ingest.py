"""`intelgraph ingest`: streams files into a dataset."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from intelgraph.cli.csv_records import DEFAULT_NULLS, ColumnType, column_types
from intelgraph.cli.invocation import Invocation, invocation
from intelgraph.cli.load_progress import LoadProgress
from intelgraph.cli.load_quarantine import load_quarantine
from intelgraph.cli.load_summary import LoadSummary
from intelgraph.cli.loading import Destination, load, new_stream_id, producer_of_this_host
from intelgraph.cli.record_source import STANDARD_INPUT, Format, open_source, require_readable
from intelgraph.cli.refusal import print_refusal
from intelgraph.errors import Aborted, PermissionDenied

if TYPE_CHECKING:
    from intelgraph.client import AsyncClient

EXIT_INTERRUPTED: Final = 130
"""As shells report a process that SIGINT ended."""

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@dataclass(frozen=True, slots=True)
class _Work:
    """What was asked for."""

    destination: Destination
    files: list[Path]
    format: Format | None
    nulls: frozenset[str]


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
    require_readable(work.files, work.format)
    try:
        summary = asyncio.run(_ingest(called, work))
    except KeyboardInterrupt as interrupt:
        print_refusal(_interrupted(work.destination), as_json=called.json)
        raise typer.Exit(EXIT_INTERRUPTED) from interrupt
    called.show(summary.as_json(), summary.for_people)
    if any(loaded.has_findings for loaded in summary.loads):
        raise typer.Exit(1)


async def _ingest(called: Invocation, work: _Work) -> LoadSummary:
    async with called.async_client("connector", "auditor") as client:
        types = await _column_types(client, work.destination)
        loads = []
        with LoadProgress(shown=not called.json) as progress:
            for path in work.files:
                with open_source(path, work.format, types, work.nulls) as source:
                    bar = progress.bar(source.name, source.size)
                    loads.append(await load(client, work.destination, source, bar.advance, bar.follow))
                    bar.finish()
        try:
            return LoadSummary(loads, await load_quarantine(client, loads))
        except PermissionDenied:
            return LoadSummary(loads, None)


def _interrupted(destination: Destination) -> Aborted:
    return Aborted(
        "INGEST_INTERRUPTED",
        f"interrupted; what stream {destination.stream_id} had acknowledged is durable",
        fix=f"run the same command with --stream-id {destination.stream_id} to go on: records that arrived"
        " already are counted as duplicate or unchanged, and are not stored again",
        metadata={"dataset": destination.dataset, "stream_id": destination.stream_id},
    )


async def _column_types(client: AsyncClient, destination: Destination) -> dict[str, ColumnType]:
    contract = await client.contracts.get(destination.dataset, destination.contract_version)
    return column_types(contract.json().get("schema", {}))
