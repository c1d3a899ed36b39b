"""`intelgraph contract`: publishes contracts, shows them, and checks records against one."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import orjson
import typer
from rich.console import Group
from rich.json import JSON
from rich.text import Text

from intelgraph.cli.approval_needed import approval_request, says_what_to_ask_for
from intelgraph.cli.broken_rules import BrokenRule, broken_rules_table, sum_up
from intelgraph.cli.contract_view import (
    contract_as_json,
    contract_table,
    prospect_as_json,
    prospect_view,
    published_as_json,
    published_view,
)
from intelgraph.cli.csv_records import DEFAULT_NULLS, column_types
from intelgraph.cli.invocation import invocation
from intelgraph.cli.record_source import STANDARD_INPUT, Format, open_source
from intelgraph.cli.unreadable import count_of_lines
from intelgraph.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from intelgraph.client import Published

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Publish contracts, show them, and check records against one.",
)

_SHORTEN: Final = "contract.shorten_retention"
_CHUNK_BYTES = 512 * 1024
_CHUNK_RECORDS = 10_000
"""What the gateway takes in one check."""
_Dataset = Annotated[str, typer.Argument(help="Dataset of the contract.", show_default=False)]
_Version = Annotated[str, typer.Option(help="Version; by default the newest published.", show_default=False)]


@app.command()
def put(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Contract documents, JSON.", show_default=False)],
    *,
    approval: Annotated[
        UUID | None, typer.Option(help="The approval of exactly this document.", show_default=False)
    ] = None,
) -> None:
    """Publish contracts. The same document again changes nothing; a published version never changes.

    One that lifts a legal hold, or keeps its dataset for less long, takes an approval: without one this says which, and
    how to ask for it. What was published before it stays published.
    """
    if approval is not None and len(files) > 1:
        raise typer.BadParameter("an approval is of one document: name one file", param_hint="--approval")
    called = invocation(context)
    published: list[Published] = []
    try:
        with called.client("operator") as client:
            for file in files:
                with says_what_to_ask_for(called, ["contract", "put", str(file)]):
                    published.append(client.contracts.put(_read(file), approval=approval))
    finally:
        if published:
            called.show([published_as_json(each) for each in published], lambda: published_view(published))


@app.command()
def check(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Contract documents, JSON.", show_default=False)],
) -> None:
    """Say what would come of publishing contracts, and publish nothing.

    Each is taken by itself, as the dataset is now. For what lifts a legal hold, or keeps for less long, it says how
    much would be due, and how to ask for the approval.
    """
    called = invocation(context)
    with called.client("analyst") as client:
        prospects = [client.contracts.check(_read(file)) for file in files]
    requests = [
        approval_request(called, _SHORTEN, each.approval_document) if each.approval_document else ""
        for each in prospects
    ]
    called.show(
        [prospect_as_json(*each) for each in zip(prospects, requests, strict=True)],
        lambda: prospect_view(prospects),
    )
    if not called.json:
        for request in filter(None, requests):
            typer.echo(f"ask for the approval with\n  {request}")


@app.command()
def get(context: typer.Context, dataset: _Dataset, version: _Version = "") -> None:
    """Show a contract with its document."""
    called = invocation(context)
    with called.client("analyst") as client:
        contract = client.contracts.get(dataset, version)
    called.show(
        contract_as_json(contract) | {"document": contract.json()},
        lambda: Group(contract_table([contract]), JSON(contract.document.decode())),
    )


@app.command("list")
def list_(
    context: typer.Context,
    dataset: Annotated[
        str, typer.Argument(help="Only of this dataset; by default all.", show_default=False)
    ] = "",
) -> None:
    """List contracts by dataset, newest version first."""
    called = invocation(context)
    with called.client("analyst") as client:
        contracts = list(client.contracts.list(dataset))
    called.show([contract_as_json(each) for each in contracts], lambda: contract_table(contracts))


@app.command()
def validate(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="CSV or NDJSON files; `-`, and none, is standard input.", show_default=False),
    ] = None,
    dataset: Annotated[str, typer.Option(help="Check against the published contract of this dataset.")] = "",
    version: _Version = "",
    document: Annotated[
        Path | None, typer.Option(help="Check against this document, which need not be published.")
    ] = None,
    format_: Annotated[Format | None, typer.Option("--format", help="How records are written.")] = None,
    null: Annotated[list[str] | None, typer.Option(help="CSV cell that means null; may be repeated.")] = None,
) -> None:
    """Check records against a contract and store nothing. Ends with 1 if any breaks it."""
    if bool(dataset) == (document is not None):
        raise typer.BadParameter("say what to check against: either --dataset or --document")
    called = invocation(context)
    nulls = frozenset(null if null is not None else DEFAULT_NULLS)
    with called.client("analyst") as client, ExitStack() as files_open:
        text = _read(document) if document else client.contracts.get(dataset, version).document
        types = column_types(_parsed(text).get("schema", {}))
        sources = [
            files_open.enter_context(open_source(path, format_, types, nulls))
            for path in files or [STANDARD_INPUT]
        ]
        found = [
            client.contracts.validate_against(chunk, text)
            if document
            else client.contracts.validate(chunk, dataset, version)
            for source in sources
            for chunk in _chunks(source.records)
        ]
        unreadable = sum(source.unreadable.total for source in sources)
    valid = sum(each.valid for each in found)
    invalid = sum(each.invalid for each in found)
    rules = sum_up(each.report for each in found)
    called.show(
        {
            "valid": valid,
            "invalid": invalid,
            "unreadable": unreadable,
            "broken_rules": [rule.as_json() for rule in rules],
        },
        lambda: _verdict(valid, invalid, unreadable, rules),
    )
    if invalid or unreadable:
        raise typer.Exit(1)


def _chunks(records: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Records in requests of a bounded size."""
    chunk: list[bytes] = []
    size = 0
    for record in records:
        chunk.append(record)
        size += len(record)
        if size >= _CHUNK_BYTES or len(chunk) == _CHUNK_RECORDS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidArgument(
            reason="FILE_UNREADABLE", message=f"{file}: {error.strerror}", fix="name a readable file"
        ) from error


def _parsed(document: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise InvalidArgument(
            reason="CONTRACT_NOT_JSON",
            message=f"the contract is not JSON: {error}",
            fix="correct the document",
        ) from error
    return parsed if isinstance(parsed, dict) else {}


def _verdict(valid: int, invalid: int, unreadable: int, rules: list[BrokenRule]) -> Group:
    style = "yellow" if invalid or unreadable else "green"
    line = Text(f"{valid:,} records satisfy the contract, {invalid:,} do not", style)
    if unreadable:
        line.append(f"; {count_of_lines(unreadable)} no record")
    return Group(line, broken_rules_table(rules, "What they break")) if rules else Group(line)
