"""Entries and checkpoints of the ledger, for people and as JSON."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.json import JSON
from rich.table import Table
from rich.text import Text

from intelgraph.cli.moments import format_moment
from intelgraph.cli.verbatim import verbatim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from intelgraph.client import LedgerCheckpoint, LedgerEntry


def entry_as_json(entry: LedgerEntry, *, whole: bool = False) -> dict[str, Any]:
    """An entry; `whole` with what shows that it is the one in the log."""
    facts: dict[str, Any] = {
        "index": entry.index,
        "state": entry.state.name.lower(),
        "entry_id": entry.entry_id,
        "kind": entry.kind,
        "subject": entry.subject,
        "actor": entry.actor,
        "actor_method": entry.actor_method,
        "tenant": entry.tenant or None,
        "at": format_moment(entry.at_us) if entry.at_us else None,
        "sequenced": format_moment(entry.sequenced_us),
        "facts": json.loads(entry.payload) if entry.payload else None,
        "erased_by_index": entry.erased_by_index,
    }
    if whole:
        facts |= {
            "leaf": entry.leaf.decode(),
            "header": entry.header.decode() or None,
            "payload": entry.payload.decode() or None,
            "header_salt": entry.header_salt.hex() or None,
            "payload_salt": entry.payload_salt.hex() or None,
        }
    return facts


def entry_table(entries: Sequence[LedgerEntry], *, header: bool = True) -> Table:
    """Entries, one a row, within 80 columns; what they are about is whole, since it can be asked for."""
    table = Table(show_header=header, header_style="bold", box=None, collapse_padding=True, pad_edge=False)
    table.add_column("index", justify="right", min_width=7, no_wrap=True)
    table.add_column("at, who", width=20, overflow="fold")
    table.add_column("kind, tenant", width=22, overflow="fold")
    table.add_column("about", overflow="fold")
    for entry in entries:
        kind = entry.kind or entry.state.name.lower()
        about = entry.subject or f"({entry.state.name.lower()})"
        at = format_moment(entry.at_us or entry.sequenced_us).split(".")[0].rstrip("Z") + "Z"
        table.add_row(str(entry.index), f"{at}\n{entry.actor}", f"{kind}\n{entry.tenant}", about)
    return table


def entry_view(entry: LedgerEntry, eraser: LedgerEntry | None) -> RenderableType:
    """One entry, whole."""
    head = Table(show_header=False, box=None, pad_edge=False)
    head.add_column(style="bold")
    head.add_column(overflow="fold")
    at = format_moment(entry.at_us) if entry.at_us else "—"
    rows = [
        ("index", str(entry.index)),
        ("kind", entry.kind or "—"),
        ("about", entry.subject or "—"),
        ("tenant", entry.tenant or "—"),
        ("by", f"{entry.actor} ({entry.actor_method})" if entry.actor else "—"),
        ("at", at),
        ("sequenced", format_moment(entry.sequenced_us)),
        ("entry", entry.entry_id or "—"),
    ]
    for name, value in rows:
        head.add_row(name, Text(value))
    parts: list[RenderableType] = [head, Text(" in the log", "bold"), verbatim(f" {entry.leaf.decode()}")]
    if entry.payload:
        parts.append(JSON(entry.payload.decode()))
    elif eraser is not None:
        said = json.loads(eraser.payload)
        parts.append(
            Text(
                f"erased {format_moment(eraser.at_us)} by {eraser.actor} (entry {eraser.index}): {said['reason']}",
                "yellow",
            )
        )
    else:
        parts.append(Text("recovered from the log's tiles after a restore: what it says is lost", "yellow"))
    return Group(*parts)


def checkpoint_view(found: LedgerCheckpoint) -> RenderableType:
    """A checkpoint: the note as it is, and what else one wants to know."""
    origin, size, root, *_ = found.note.decode().split("\n")
    lines: list[RenderableType] = [
        verbatim(found.note.decode().rstrip()),
        Text(),
        verbatim(f"{int(size):,} entries, root {base64.b64decode(root).hex()}", "bold"),
    ]
    lines += [verbatim(f"verified by {key}") for key in found.verifier_keys]
    if found.waiting:
        lines.append(Text(f"{found.waiting:,} entries are committed and wait for their index", "yellow"))
    if found.fork_index is not None:
        lines.append(
            Text(
                f"FORKED: from index {found.fork_index:,} on the database is not the log {origin} that was signed."
                " Nothing is appended. `intelgraph ledger recover --help` says what to do.",
                "bold red",
            )
        )
    return Group(*lines)
