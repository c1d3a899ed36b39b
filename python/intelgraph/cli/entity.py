"""`intelgraph entity`: entities as they are, as they were, and as they came to be."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console, Group

from intelgraph.cli.broken_rules import broken_rules_table, sum_up
from intelgraph.cli.entity_key import read_key
from intelgraph.cli.entity_view import (
    diff_as_json,
    diff_for_people,
    entry_as_json,
    entry_line,
    history_table,
    version_as_json,
    version_for_people,
)
from intelgraph.cli.invocation import invocation
from intelgraph.cli.moments import parse_moment
from intelgraph.client import AsOf

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Show entities as they are, as they were, and as they came to be.",
)

_Dataset = Annotated[str, typer.Argument(help="Dataset of the entity.", show_default=False)]
_Key = Annotated[
    str,
    typer.Argument(
        help='Key of the entity: EWR, 42, or an object as \'{"carrier":"UA","flight":1545}\'. With --id, its'
        " identifier.",
        show_default=False,
    ),
]
_ById = Annotated[bool, typer.Option("--id", help="KEY is the entity's identifier, a UUID.")]


def _moment(*names: str, help_: str) -> Any:
    return typer.Option(*names, parser=parse_moment, metavar="MOMENT", help=help_, show_default=False)


@app.command()
def get(
    context: typer.Context,
    dataset: _Dataset,
    key: _Key,
    *,
    by_id: _ById = False,
    valid: Annotated[int | None, _moment("--valid", help_="What was true then.")] = None,
    recorded: Annotated[int | None, _moment("--recorded", help_="What was recorded by then.")] = None,
    report: Annotated[
        bool,
        typer.Option("--report", help="If the record broke its contract and was stored all the same, how."),
    ] = False,
) -> None:
    """Show the version in force at a moment, by default now.

    A MOMENT is ISO 8601, or microseconds since the Unix epoch.
    """
    called = invocation(context)
    with called.client("analyst") as client:
        name, as_of = read_key(client, dataset, key, by_id=by_id), AsOf(recorded, valid)
        version = client.entities.get(dataset, name, as_of)
        found = client.entities.report(dataset, name, as_of) if report and version.warned else None
    rules = sum_up([found]) if found is not None else []
    shown = version_as_json(version)
    if report:
        shown["broken_rules"] = [rule.as_json() for rule in rules]
    called.show(
        shown,
        lambda: Group(
            version_for_people(version),
            *([broken_rules_table(rules, "What the record breaks")] if rules else []),
        ),
    )


@app.command()
def history(
    context: typer.Context,
    dataset: _Dataset,
    key: _Key,
    *,
    by_id: _ById = False,
    limit: Annotated[int, typer.Option(min=1, help="Most versions to show.")] = 50,
    documents: Annotated[bool, typer.Option("--documents", help="With --json, whole documents too.")] = False,
) -> None:
    """Show the versions of an entity, newest first, and what each changed."""
    called = invocation(context)
    with called.client("analyst") as client:
        versions = client.entities.history(
            dataset,
            read_key(client, dataset, key, by_id=by_id),
            with_documents=documents,
            page_size=min(limit, 500),
        )
        entries = list(islice(versions, limit))
    called.show([entry_as_json(entry) for entry in entries], lambda: history_table(entries))


@app.command()
def diff(
    context: typer.Context,
    dataset: _Dataset,
    key: _Key,
    *,
    by_id: _ById = False,
    from_: Annotated[int | None, _moment("--from", help_="From what was true then.")] = None,
    to: Annotated[int | None, _moment("--to", help_="To what was true then; by default, to now.")] = None,
    from_recorded: Annotated[
        int | None, _moment("--from-recorded", help_="From what was recorded by then.")
    ] = None,
    to_recorded: Annotated[
        int | None, _moment("--to-recorded", help_="To what was recorded by then.")
    ] = None,
) -> None:
    """Show what changed between two moments.

    A MOMENT is ISO 8601, or microseconds since the Unix epoch.
    """
    called = invocation(context)
    with called.client("analyst") as client:
        found = client.entities.diff(
            dataset,
            read_key(client, dataset, key, by_id=by_id),
            AsOf(from_recorded, from_),
            AsOf(to_recorded, to),
        )
    called.show(diff_as_json(found), lambda: diff_for_people(found))


@app.command()
def watch(
    context: typer.Context,
    datasets: Annotated[
        list[str] | None, typer.Argument(help="Only these datasets; by default all.", show_default=False)
    ] = None,
    after: Annotated[int, typer.Option(min=0, help="Begin after this change; 0 is the beginning.")] = 0,
    until_now: Annotated[
        bool, typer.Option("--until-now", help="End at the present end of the log.")
    ] = False,
) -> None:
    """Show every change, once and in order, as it is committed. With --json, one document a line."""
    called = invocation(context)
    console = Console()
    with called.client("analyst") as client:
        for entry in client.entities.changes(after, datasets=datasets or (), until_now=until_now):
            if called.json:
                typer.echo(orjson.dumps(entry_as_json(entry)))
            else:
                console.print(entry_line(entry))
