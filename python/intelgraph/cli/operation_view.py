"""Operations as people see them: a table, a page of facts, and a bar that follows one to its end."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.json import JSON
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from intelgraph.cli.moments import format_moment
from intelgraph.client import LongOperation, OperationState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

_STYLES = {
    OperationState.DONE: "green",
    OperationState.FAILED: "bold red",
    OperationState.CANCELLED: "yellow",
    OperationState.CANCELLING: "yellow",
}
_TIMES = ("created_us", "deadline_us", "started_us", "updated_us", "finished_us")


def as_json(operation: LongOperation) -> dict[str, Any]:
    """An operation for programs; moments are ISO 8601, None before they come."""
    facts = asdict(operation)
    for name in _TIMES:
        moment_us = facts.pop(name)
        facts[name.removesuffix("_us")] = format_moment(moment_us) if moment_us else None
    return facts | {"operation_id": str(operation.operation_id), "state": operation.state.name.lower()}


def table(operations: Iterable[LongOperation]) -> Table:
    """Operations, one a row, within 80 columns."""
    shown = Table(header_style="bold", box=None, collapse_padding=True, pad_edge=False)
    shown.add_column("operation, created", min_width=36, overflow="fold")
    shown.add_column("kind, by", overflow="fold")
    shown.add_column("state", no_wrap=True)
    shown.add_column("done", justify="right", no_wrap=True)
    for operation in operations:
        shown.add_row(
            Text(f"{operation.operation_id}\n{format_moment(operation.created_us)}"),
            Text(f"{operation.kind}\n{operation.created_by}"),
            _state(operation),
            _amount(operation, "\n"),
        )
    return shown


def facts(operation: LongOperation) -> RenderableType:
    """All of one operation."""
    shown = Table.grid(padding=(0, 2))
    told = as_json(operation)
    result, given = told.pop("result"), told.pop("input")
    if _is_dry_run(operation):
        del told["done"], told["total"]
        told["dry run"] = f"{_amount(operation)}; nothing was changed"
    for name, value in told.items():
        if value not in {None, ""}:
            shown.add_row(Text(name.replace("_", " "), style="bold"), Text(str(value)))
    parts: list[RenderableType] = [shown]
    for name, value in (("input", given), ("result", result)):
        if value:
            parts += [Text(name, style="bold"), JSON.from_data(value)]
    return Group(*parts)


def ending(operation: LongOperation) -> Text:
    """What came of an operation, in a sentence."""
    match operation.state:
        case OperationState.DONE:
            if _is_dry_run(operation):
                return Text(
                    f"{_what(operation)}, is done: {_amount(operation)}, nothing was changed", "green"
                )
            return Text(f"{operation.kind} is done: {_amount(operation)}", "green")
        case OperationState.FAILED:
            return Text(f"{operation.kind} failed: {operation.reason}: {operation.message}", "bold red")
        case OperationState.CANCELLED:
            undone = f"undone: {operation.undone}"
            return Text(f"{operation.kind} was cancelled by {operation.cancelled_by}; {undone}", "yellow")
        case _:
            return Text(f"{operation.kind} is {operation.state.name.lower()}")


def follow(operations: Iterable[LongOperation], *, shown: bool) -> LongOperation:
    """Shows a bar on standard error until the operation is at its end, and gives it as it is then."""
    bars = Progress(
        SpinnerColumn(finished_text="[green]✔"),
        TextColumn("{task.description}", style="bold"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[amount]}"),
        TextColumn("{task.fields[pace]}", style="cyan"),
        TextColumn("{task.fields[note]}", style="yellow"),
        console=Console(stderr=True),
        transient=True,
        disable=not shown,
    )
    with bars:
        bar = bars.add_task("", total=None, amount="", pace="", note="")
        for operation in operations:
            last = operation
            bars.update(
                bar,
                description=f"{_what(operation)} {operation.step}".rstrip(),
                completed=operation.done,
                total=operation.total,
                amount=_amount(operation),
                pace=_pace(operation),
                note=_note(operation),
            )
    return last


def _state(operation: LongOperation) -> Text:
    text = Text(operation.state.name.lower(), _STYLES.get(operation.state, ""))
    if operation.yielding:
        text.append(" (yields)", "yellow")
    if operation.state is OperationState.FAILED:
        text.append(f"\n{operation.reason}")
    if _is_dry_run(operation):
        text.append("\ndry run")
    return text


def _what(operation: LongOperation) -> str:
    return f"{operation.kind}, a dry run" if _is_dry_run(operation) else operation.kind


def _is_dry_run(operation: LongOperation) -> bool:
    """Whether it only says what it would do, and counts what that is about."""
    return operation.input.get("dry_run") is True


def _amount(operation: LongOperation, space: str = " ") -> str:
    if _is_dry_run(operation):
        counting = operation.total is None
        return f"{operation.done:,}{space}counted" if counting else f"{operation.total:,}{space}would go"
    return f"{operation.done:,}" if operation.total is None else f"{operation.done:,}/{operation.total:,}"


def _pace(operation: LongOperation) -> str:
    if not operation.rate:
        return ""
    remaining = operation.remaining_seconds
    return f"{operation.rate:,.0f}/s" + ("" if remaining is None else f", {remaining:,.0f} s left")


def _note(operation: LongOperation) -> str:
    if operation.yielding:
        return "yields to ingest"
    if operation.attempts:
        return f"waiting: {operation.reason}"
    return operation.state.name.lower() if operation.state is not OperationState.RUNNING else ""
