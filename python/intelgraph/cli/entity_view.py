"""Versions of entities and their differences, for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Group
from rich.json import JSON
from rich.table import Table
from rich.text import Text

from intelgraph.cli.moments import format_moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from intelgraph.client import EntityDiff, EntityVersion, HistoryEntry


def version_as_json(version: EntityVersion) -> dict[str, Any]:
    """A version with its document."""
    return {
        "entity_id": str(version.entity_id),
        "dataset": version.dataset,
        "seq": version.seq,
        "version": version.version,
        "operation": version.operation.name.lower(),
        "valid_at": format_moment(version.valid_at_us),
        "recorded": format_moment(version.recorded_us),
        "contract_digest": version.contract_digest.hex(),
        "warned": version.warned,
        "document": version.json() if version.document else None,
    }


def version_for_people(version: EntityVersion) -> RenderableType:
    """A version with its document."""
    head = Table.grid(padding=(0, 2))
    head.add_column()
    head.add_column(overflow="fold")
    head.add_row("entity", f"{version.entity_id}  ({version.dataset})")
    head.add_row("version", f"{version.version}  ({version.operation.name.lower()}, change {version.seq:,})")
    head.add_row("valid from", format_moment(version.valid_at_us))
    head.add_row("recorded", format_moment(version.recorded_us))
    if version.warned:
        head.add_row("contract", Text("broken; stored with a warning (--report says how)", "yellow"))
    body = JSON(version.document.decode()) if version.document else Text("deleted", style="red")
    return Group(head, body)


def entry_as_json(entry: HistoryEntry) -> dict[str, Any]:
    """A version with what it changed."""
    return version_as_json(entry.version) | {"changes": orjson.loads(entry.changes or b"[]")}


def entry_line(entry: HistoryEntry) -> Text:
    """A version on one line."""
    version = entry.version
    return Text.assemble(
        (f"{version.seq:>9,}  ", "dim"),
        f"{format_moment(version.valid_at_us)}  {version.dataset}  ",
        (f"{version.operation.name.lower():<11}  ", "bold"),
        ("warned  " if version.warned else "", "yellow"),
        change_line(entry.changes),
    )


def history_table(entries: Sequence[HistoryEntry]) -> Table:
    """Versions, one a row."""
    table = Table()
    table.add_column("change", justify="right")
    table.add_column("version", justify="right")
    table.add_column("valid from", overflow="fold")
    table.add_column("recorded", overflow="fold")
    table.add_column("operation")
    table.add_column("what changed", overflow="fold")
    for entry in entries:
        version = entry.version
        table.add_row(
            f"{version.seq:,}",
            str(version.version),
            format_moment(version.valid_at_us),
            format_moment(version.recorded_us),
            version.operation.name.lower() + (" (warned)" if version.warned else ""),
            change_line(entry.changes),
        )
    return table


def diff_as_json(diff: EntityDiff) -> dict[str, Any]:
    """A difference with both of its versions."""
    return {
        "before": version_as_json(diff.before) if diff.before else None,
        "after": version_as_json(diff.after) if diff.after else None,
        "changes": orjson.loads(diff.changes or b"[]"),
        "json_patch": orjson.loads(diff.json_patch or b"[]"),
        "as_of_seq": diff.as_of_seq,
    }


def diff_for_people(diff: EntityDiff) -> RenderableType:
    """A difference, or that there is none."""
    if orjson.loads(diff.changes or b"[]"):
        return diff_table(diff)
    if diff.before is None and diff.after is None:
        return Text("Nothing is known of the entity at either moment.")
    return Text(
        f"No difference: the version valid from {_moment_of(diff.before)} and the one valid from"
        f" {_moment_of(diff.after)} say the same."
    )


def diff_table(diff: EntityDiff) -> Table:
    """A difference, one changed place a row."""
    table = Table()
    table.add_column("at", overflow="fold")
    table.add_column(_moment_of(diff.before), style="red", overflow="fold")
    table.add_column(_moment_of(diff.after), style="green", overflow="fold")
    for operation, path, *values in orjson.loads(diff.changes or b"[]"):
        shown = [orjson.dumps(value).decode() for value in values]
        match operation:
            case "r":
                table.add_row(_path(path), *shown)
            case "a":
                table.add_row(_path(path), "", *shown)
            case _:
                table.add_row(_path(path), *shown, "")
    return table


def change_line(changes: bytes) -> str:
    """A reversible list on one line."""
    parts = []
    for operation, path, *values in orjson.loads(changes or b"[]"):
        shown = [orjson.dumps(value).decode() for value in values]
        match operation:
            case "r":
                parts.append(f"{_path(path)} {shown[0]} → {shown[1]}")
            case "a":
                parts.append(f"+{_path(path)} {shown[0]}")
            case _:
                parts.append(f"-{_path(path)}")
    return ", ".join(parts)


def _path(path: object) -> str:
    if isinstance(path, list):
        return "/" + "/".join(str(step) for step in path)
    return str(path) or "(whole)"


def _moment_of(version: EntityVersion | None) -> str:
    return format_moment(version.valid_at_us) if version else "not known"
