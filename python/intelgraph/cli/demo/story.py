"""What the demo shows once everything is stored."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.columns import Columns
from rich.console import Group
from rich.json import JSON
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from intelgraph.cli.entity_view import diff_table
from intelgraph.cli.moments import format_moment, parse_moment
from intelgraph.client import AsOf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from intelgraph.cli.demo.change_log import RawRow
    from intelgraph.cli.demo.report import DemoReport
    from intelgraph.cli.loading import Loaded
    from intelgraph.client import AsyncClient, EntityDiff

# Newark before and in the blizzard of February 2013.
AIRPORT: Final = "EWR"
BEFORE: Final = AsOf(valid=parse_moment("2013-02-08T06:00Z"))
AFTER: Final = AsOf(valid=parse_moment("2013-02-09T06:00Z"))

_SHOWN_BYTES: Final = 96


async def weather_diff(client: AsyncClient) -> EntityDiff:
    """The weather of one airport as of two moments of valid time."""
    return await client.entities.diff("weather", {"origin": AIRPORT}, BEFORE, AFTER)


def throughput(report: DemoReport, loads: Sequence[Loaded]) -> RenderableType:
    """How much, how fast, and what came of it."""
    # Without its edges the table fits 80 columns with every heading whole.
    table = Table(
        title="What came of the records",
        title_justify="left",
        title_style="bold",
        show_edge=False,
        pad_edge=False,
    )
    table.add_column("dataset")
    for column in ("sent", "accepted", "unchanged", "duplicate", "quarantined", "records/s"):
        table.add_column(column, justify="right")
    for loaded in loads:
        sums = (
            loaded.totals.sent,
            loaded.totals.accepted,
            loaded.totals.unchanged,
            loaded.totals.duplicate,
            loaded.totals.quarantined,
            round(loaded.records_per_second),
        )
        table.add_row(loaded.destination.dataset, *(f"{each:,}" for each in sums))
    table.add_section()
    sums = (
        report.sent,
        report.accepted,
        report.unchanged,
        report.duplicate,
        report.quarantined,
        round(report.records_per_second),
    )
    table.add_row("all", *(f"{each:,}" for each in sums), style="bold")
    line = Text.assemble(
        (f"{report.records_per_second:,.0f} records/s", "bold green"),
        ", checked, compared, sealed and durable; 95 % of the batches acknowledged within ",
        (f"{report.p95_ack_ms:,.0f} ms", "bold green"),
        f". The change log grew by {report.changes:,} changes.",
    )
    return Group(table, line)


def weather(diff: EntityDiff) -> RenderableType:
    """Both versions, and what is between them."""
    versions = [
        Panel(JSON(version.document.decode()), title=f"as of {format_moment(version.valid_at_us)}", width=38)
        for version in (diff.before, diff.after)
        if version is not None
    ]
    return Group(
        Text(f"\nThe weather at {AIRPORT} as of two moments of valid time", style="bold"),
        Columns(versions),
        Text("and the difference:"),
        diff_table(diff),
    )


def ciphertext(row: RawRow) -> RenderableType:
    """The row of the later version, as it lies in PostgreSQL."""
    table = Table(
        show_header=False, title="Its row in the change log", title_justify="left", title_style="bold"
    )
    table.add_row("seq", f"{row.seq:,}")
    table.add_row("recorded", row.recorded.isoformat())
    table.add_row("valid_at", row.valid_at.isoformat())
    table.add_row("entity_id", str(row.entity_id))
    table.add_row("version, op", f"{row.version}, {row.operation}")
    table.add_row("leaf", row.leaf.hex())
    shown = row.sealed[:_SHOWN_BYTES].hex(" ", 4)
    table.add_row("sealed", f"{shown} …  ({len(row.sealed):,} bytes)")
    return Group(
        table,
        Text(
            "No column holds the record: without the tenant's key it stays sealed. Even the entity's key,"
            f" {AIRPORT}, is there as a keyed digest only."
        ),
    )


def next_steps(data_dir: Path) -> Text:
    """Commands to go on with, each line as it can be pasted into a terminal; to be printed without wrapping."""
    program = _program()
    # A new terminal stands elsewhere and knows nothing of what was exported in another.
    enter = (
        f"cd {shlex.quote(str(Path.cwd()))}",
        f"export INTELGRAPH_DATA_DIR={shlex.quote(str(data_dir.absolute()))}",
    )
    steps = (
        ("In one terminal, serve what the demo stored:", (*enter, f"{program} serve")),
        (
            "In another, see how the weather came about, what waits for a person, and every change in order:",
            (
                *enter,
                f"{program} entity history weather EWR",
                f"{program} quarantine list flights",
                f"{program} entity watch airports",
            ),
        ),
        ("With that gateway stopped, send it all again (nothing is stored twice):", ("make demo",)),
        ("Remove what the demo wrote:", ("make demo-clean",)),
    )
    shown = Text.assemble(("\nWhere to go next\n", "bold"))
    for meaning, commands in steps:
        shown.append(f"{meaning}\n")
        for command in commands:
            shown.append(f"  {command}\n", style="cyan")
    return shown.append("Connectors: docs/connectors.md. Services: docs/services.md.")


def _program() -> str:
    """How this program is called from here."""
    called = Path(sys.argv[0])
    if shutil.which("intelgraph") is None and called.name == "intelgraph":
        return os.path.relpath(called)
    return "intelgraph"
