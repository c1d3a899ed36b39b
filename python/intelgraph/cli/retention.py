"""`intelgraph retention`: removes what its contracts no longer keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from intelgraph.cli.invocation import invocation
from intelgraph.cli.moments import format_moment

if TYPE_CHECKING:
    from rich.console import RenderableType

    from intelgraph.client import LongOperation

EXIT_NOT_DONE: Final = 1

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Remove what contracts no longer keep.")


@app.callback()
def retention() -> None:
    """Keeps `run` a verb of its own while it is the only one."""


@app.command()
def run(
    context: typer.Context,
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="Only this dataset; may be repeated. By default all.", show_default=False),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would go, and what is held.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Do not wait: `intelgraph operations watch` follows it.")
    ] = False,
    deadline: Annotated[int, typer.Option(min=0, help="Seconds in which it must end; 0 means any.")] = 0,
) -> None:
    """Remove what was recorded before its dataset's retention ends, current versions included.

    The newest contract of a dataset says how long that is; legal-hold holds all of it. Nothing comes back: see what
    would go with --dry-run first. Ctrl-C leaves the run running; exits 1 unless it is done.
    """
    from intelgraph.cli.operation_view import as_json, ending, follow, table
    from intelgraph.client import OperationState

    called = invocation(context)
    with called.client("operator") as client:
        started = client.retention.run(dataset or (), dry_run=dry_run, deadline_seconds=deadline)
        if detach:
            called.show(as_json(started), lambda: table([started]))
            return
        ended = follow(client.operations.watch(started.operation_id), shown=not called.json)
    called.show(as_json(ended), lambda: Group(_counts(ended, dry_run=dry_run), ending(ended)))
    if ended.state is not OperationState.DONE:
        raise typer.Exit(EXIT_NOT_DONE)


def _counts(operation: LongOperation, *, dry_run: bool) -> RenderableType:
    counts: list[dict[str, Any]] = operation.result.get("datasets", [])
    if not counts:
        return Text("there is no dataset")
    shown = Table(header_style="bold", box=None, collapse_padding=True, pad_edge=False)
    shown.add_column("dataset, retention", overflow="fold")
    shown.add_column("recorded before", overflow="fold")
    shown.add_column("would go" if dry_run else "removed", justify="right")
    shown.add_column("quarantine", justify="right")
    shown.add_column("held", justify="right")
    for each in counts:
        changes, records = (
            (each["due"], each["quarantine_due"])
            if dry_run
            else (each["removed"], each["quarantine_records"])
        )
        shown.add_row(
            Text(f"{each['dataset']}\n{each['retention']}"),
            Text(_before(each)),
            f"{changes:,}",
            f"{records:,}",
            f"{each['held'] + each['quarantine_held']:,}",
        )
    return shown


def _before(each: dict[str, Any]) -> str:
    if each["held_because"]:
        return str(each["held_because"])
    cut = format_moment(each["cut_us"])
    if each["oldest_us"] is None:
        return cut
    return f"{cut}\nfrom {format_moment(each['oldest_us'])} to {format_moment(each['newest_us'])}"
