"""`intelgraph operations`: shows, follows and cancels what is longer than a request."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Final
from uuid import UUID

import typer

from intelgraph.cli.invocation import invocation

EXIT_NOT_DONE: Final = 1

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Show, follow and cancel what is longer than a request.",
)

OperationId = Annotated[UUID, typer.Argument(help="The operation.", show_default=False)]


@app.command("list")
def list_(
    context: typer.Context,
    kind: Annotated[str, typer.Option(help="Only of this kind, as retention.run.", show_default=False)] = "",
    state: Annotated[
        list[str] | None, typer.Option(help="Only in this state; may be repeated.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most operations to show.")] = 50,
) -> None:
    """List operations, newest first."""
    from intelgraph.cli.operation_view import as_json, table
    from intelgraph.client import OperationState

    names = {each.name.lower(): each for each in OperationState}
    for each in state or ():
        if each not in names:
            raise typer.BadParameter(f"--state {each}: one of {', '.join(names)}")
    called = invocation(context)
    with called.client("auditor") as client:
        listed = client.operations.list(kind=kind, states=[names[each] for each in state or ()])
        operations = list(islice(listed, limit))
    called.show([as_json(operation) for operation in operations], lambda: table(operations))


@app.command()
def show(context: typer.Context, operation_id: OperationId) -> None:
    """Show an operation: what was asked for, how far it is, what it found or did."""
    from intelgraph.cli.operation_view import as_json, facts

    called = invocation(context)
    with called.client("auditor") as client:
        operation = client.operations.get(operation_id)
    called.show(as_json(operation), lambda: facts(operation))


@app.command()
def watch(context: typer.Context, operation_id: OperationId) -> None:
    """Follow an operation to its end; exits 1 unless it is done then. Ctrl-C leaves it running."""
    from intelgraph.cli.operation_view import as_json, ending, follow
    from intelgraph.client import OperationState

    called = invocation(context)
    with called.client("auditor") as client:
        operation = follow(client.operations.watch(operation_id), shown=not called.json)
    called.show(as_json(operation), lambda: ending(operation))
    if operation.state is not OperationState.DONE:
        raise typer.Exit(EXIT_NOT_DONE)


@app.command()
def cancel(context: typer.Context, operation_id: OperationId) -> None:
    """Cancel an operation, at any moment: it ends before its next step, and says what was undone and what stays."""
    from intelgraph.cli.operation_view import as_json, ending, follow

    called = invocation(context)
    with called.client("operator") as client:
        client.operations.cancel(operation_id)
        operation = follow(client.operations.watch(operation_id), shown=not called.json)
    called.show(as_json(operation), lambda: ending(operation))
