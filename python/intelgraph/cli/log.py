"""`intelgraph log`: checks that the change log is what was committed."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from intelgraph.cli.gateway_settings import EXIT_CONFIGURATION, ConfigFile, exit_on_wrong_settings, load
from intelgraph.cli.invocation import invocation
from intelgraph.cli.refusal import print_refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from intelgraph.gateway.settings import Settings
    from intelgraph.temporal.verify import LogVerdict

EXIT_FINDINGS: Final = 1

app = typer.Typer(no_args_is_help=True, help="Check the change log.")


@app.callback()
def log() -> None:
    """Keeps `verify` a verb of its own while it is the only one."""


@app.command()
def verify(
    context: typer.Context,
    everyone: Annotated[bool, typer.Option("--all", help="Check every tenant's log.")] = False,
    config: ConfigFile = None,
) -> None:
    """Check that a log is what was committed: that of --tenant, or of all tenants.

    Reads database and keys of the gateway on this host, which may run or not. Opens every change, computes
    its leaf anew, and compares their tree with the one that stands in the tenant's clock row, and with what the ledger
    says that it was whenever it was anchored. Exits 1 where a
    change was altered, swapped, added or taken away.
    """
    from intelgraph.errors import FailedPrecondition

    call = invocation(context)
    with exit_on_wrong_settings(call):
        settings = load(context, call, config, {})
    try:
        with _progress(disable=call.json) as bars:
            verdicts = asyncio.run(log_verdicts(settings, None if everyone else call.tenant, bars))
    except FailedPrecondition as error:
        # The data directory, the database or the keyring cannot be used as the settings say.
        print_refusal(error, as_json=call.json)
        raise typer.Exit(EXIT_CONFIGURATION) from error
    call.show([log_facts(name, verdict) for name, verdict in verdicts.items()], lambda: logs_shown(verdicts))
    if any(verdict.findings for verdict in verdicts.values()):
        raise typer.Exit(EXIT_FINDINGS)


async def log_verdicts(settings: "Settings", name: str | None, bars: Progress) -> dict[str, "LogVerdict"]:
    """The verdict on one tenant's log, or on all, by the tenant's name."""
    from intelgraph.gateway.log_verification import log_verification

    async with log_verification(settings) as verification:
        return {
            tenant.name: await verification.verify(tenant, _bar(bars, tenant.name))
            async for tenant in verification.tenants(name)
        }


def _progress(*, disable: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=disable)


def _bar(bars: Progress, name: str) -> "Callable[[int, int], None]":
    task = bars.add_task(name, total=None)
    return lambda done, last: bars.update(task, completed=done, total=last)


def log_facts(name: str, verdict: "LogVerdict") -> dict[str, Any]:
    return {
        "tenant": name,
        "seq": verdict.seq,
        "changes": verdict.changes,
        "removed": verdict.removed,
        "removed_ranges": [{"first_seq": first, "last_seq": last} for first, last in verdict.removed_ranges],
        "root": None if verdict.root is None else verdict.root.hex(),
        "findings": [
            {
                "reason": finding.reason,
                "first_seq": finding.first_seq,
                "last_seq": finding.last_seq,
                "message": finding.message,
            }
            for finding in verdict.findings
        ],
        "findings_omitted": verdict.omitted,
    }


def logs_shown(verdicts: Mapping[str, "LogVerdict"]) -> RenderableType:
    logs = Table()
    for column in ("tenant", "changes", "removed", "root", "verdict"):
        logs.add_column(column, overflow="fold")  # a root that is cut off cannot be compared
    for name, verdict in verdicts.items():
        count = len(verdict.findings) + verdict.omitted
        judged = (
            Text(f"{count:,} finding{'s' * (count > 1)}", "bold red")
            if count
            else Text("as committed", "green")
        )
        root = "—" if verdict.root is None else verdict.root.hex()
        logs.add_row(name, f"{verdict.changes:,}", f"{verdict.removed:,}", root, judged)
    found = Table("tenant", "change", "what was found", "reason")
    for name, verdict in verdicts.items():
        for finding in verdict.findings:
            first, last = finding.first_seq, finding.last_seq
            change = f"{first}" if first == last else f"{first} to {last}"
            found.add_row(name, change, finding.message, finding.reason)
    if not found.row_count:
        return logs
    omitted = sum(verdict.omitted for verdict in verdicts.values())
    more = [Text(f"and {omitted:,} more that are not shown")] if omitted else []
    return Group(logs, found, *more, Text("docs/operators.md, Checking the log, says what to do"))
