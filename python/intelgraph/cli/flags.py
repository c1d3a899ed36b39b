"""`intelgraph flags`: shows and sets flags, for one's tenant or for a share of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from intelgraph.cli.approval_needed import says_what_to_ask_for
from intelgraph.cli.invocation import invocation
from intelgraph.cli.moments import format_moment, parse_moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from intelgraph.client import Flag, FlagValue

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Show and set flags, which back out of a check: `cmk` (enforce, fallback), `contracts` (enforce, warn),"
    " `temporal` (on, off), `upgrade` (on, skip). The first value is the safe one, and the default. This version acts"
    " on `contracts` and `temporal`; `cmk` and `upgrade` are stored, shown and recorded only.",
)

_Name = Annotated[str, typer.Argument(help="cmk, contracts, temporal or upgrade.", show_default=False)]


@app.command("list")
def list_(
    context: typer.Context,
    everyone: Annotated[
        bool, typer.Option("--all", help="Of every tenant; for the platform tenant.")
    ] = False,
) -> None:
    """List the value of each flag that holds for the tenant, and why."""
    called = invocation(context)
    with called.client("auditor") as client:
        flags = client.flags.describe()
        values = list(client.flags.all_tenants()) if everyone else client.flags.list()
    called.show(
        {
            "values": [_value_as_json(value) for value in values],
            "flags": [_flag_as_json(flag) for flag in flags],
        },
        lambda: Group(value_table(values), Text(""), share_table(flags)),
    )


@app.command()
def show(context: typer.Context, flag: _Name) -> None:
    """Show a flag: what its weakened value does, its share, and what holds for the tenant."""
    called = invocation(context)
    with called.client("auditor") as client:
        (described,) = client.flags.describe(flag)
        (value,) = client.flags.list(flag)
    called.show(
        _flag_as_json(described) | {"tenant": _value_as_json(value)}, lambda: _for_people(described, value)
    )


@app.command("set")
def set_(
    context: typer.Context,
    flag: _Name,
    value: Annotated[
        str, typer.Argument(help="One of its values; for a tenant also `default`.", show_default=False)
    ],
    *,
    share: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=100,
            help="Percent of all tenants that have the weakened value: 10, then 50, then 100. For the platform tenant.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        int | None,
        typer.Option(
            parser=parse_moment,
            metavar="MOMENT",
            help="When a weakened value ends by itself: ISO 8601.",
            show_default=False,
        ),
    ] = None,
    approval: Annotated[
        UUID | None, typer.Option(help="The approval of exactly this change.", show_default=False)
    ] = None,
) -> None:
    """Set a flag for the tenant of --tenant, or with --share for so many percent of all.

    What weakens takes an approval: without one this says which, and how to ask for it. What strengthens takes none.
    """
    called = invocation(context)
    with (
        says_what_to_ask_for(called, _again(flag, value, share, until)),
        called.client("security-officer") as client,
    ):
        done = client.flags.set(flag, value, share=share, until=until, approval=approval)
    shown = _flag_as_json(done.flag) | {"tenant": _value_as_json(done.value), "changed": done.changed}
    called.show(shown, lambda: _for_people(done.flag, done.value))


def _again(flag: str, value: str, share: int | None, until: int | None) -> list[str]:
    words = ["flags", "set", flag, value]
    if share is not None:
        words += ["--share", str(share)]
    if until is not None:
        words += ["--until", format_moment(until)]
    return words


def _value_as_json(value: FlagValue) -> dict[str, Any]:
    return {
        "tenant": value.tenant,
        "flag": value.flag,
        "value": value.value,
        "why": value.reason.name.lower(),
        "until": format_moment(value.until_us) if value.until_us is not None else None,
        "changed_by": value.changed_by or None,
        "changed": format_moment(value.changed_us) if value.changed_us else None,
        "approval_id": str(value.approval_id) if value.approval_id is not None else None,
    }


def _flag_as_json(flag: Flag) -> dict[str, Any]:
    return {
        "flag": flag.flag,
        "safe_value": flag.safe_value,
        "weakened_value": flag.weakened_value,
        "effect": flag.effect,
        "acts": flag.acts,
        "share": flag.share,
        "share_until": format_moment(flag.until_us) if flag.until_us is not None else None,
    }


def value_table(values: Sequence[FlagValue]) -> Table:
    """What holds, one flag of one tenant a row."""
    table = Table(header_style="bold", box=None, collapse_padding=True, pad_edge=False)
    for column in ("tenant", "flag", "value", "why", "until", "set by"):
        table.add_column(column, overflow="fold")
    for value in values:
        table.add_row(
            value.tenant,
            value.flag,
            value.value,
            value.reason.name.lower(),
            format_moment(value.until_us) if value.until_us is not None else "",
            value.changed_by,
        )
    return table


def share_table(flags: Sequence[Flag]) -> Table:
    """The share of tenants that has each flag's weakened value."""
    table = Table(header_style="bold", box=None, collapse_padding=True, pad_edge=False)
    for column in ("flag", "default", "weakened", "share", "share until"):
        table.add_column(column, overflow="fold")
    for flag in flags:
        table.add_row(
            flag.flag,
            flag.safe_value,
            flag.weakened_value + ("" if flag.acts else " (not acted on yet)"),
            f"{flag.share} %",
            format_moment(flag.until_us) if flag.until_us is not None else "",
        )
    return table


def _for_people(flag: Flag, value: FlagValue) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    facts.add_column()
    facts.add_column(overflow="fold")
    facts.add_row("flag", f"{flag.flag}: {flag.safe_value} (default) or {flag.weakened_value}")
    facts.add_row(flag.weakened_value, flag.effect)
    if not flag.acts:
        facts.add_row("", "this version stores, shows and records it, and does not act on it yet")
    until = f", until {format_moment(flag.until_us)}" if flag.until_us is not None else ""
    facts.add_row("share", f"{flag.weakened_value} for {flag.share} % of all tenants{until}")
    until = f", until {format_moment(value.until_us)}" if value.until_us is not None else ""
    facts.add_row(f"tenant {value.tenant}", f"{value.value} ({value.reason.name.lower()}){until}")
    if value.changed_by:
        facts.add_row("set by", f"{value.changed_by}, {format_moment(value.changed_us)}")
    if value.approval_id is not None:
        facts.add_row("approval", str(value.approval_id))
    return facts
