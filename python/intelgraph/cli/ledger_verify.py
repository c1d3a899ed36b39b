"""`intelgraph ledger verify`: checks everything that is stored of the ledger."""

import asyncio
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from intelgraph.cli.gateway_settings import EXIT_CONFIGURATION, ConfigFile, exit_on_wrong_settings, load
from intelgraph.cli.invocation import invocation
from intelgraph.cli.log import log_facts, log_verdicts, logs_shown
from intelgraph.cli.refusal import print_refusal
from intelgraph.cli.verbatim import verbatim

if TYPE_CHECKING:
    from intelgraph.gateway.settings import Settings
    from intelgraph.provenance.fsck.verdict import LedgerVerdict
    from intelgraph.temporal.verify import LogVerdict

EXIT_FINDINGS = 1


def verify(context: typer.Context, config: ConfigFile = None) -> None:
    """Check that the ledger is what was written: every entry, tile, checkpoint and copy, and every change log that is
    anchored in it.

    Reads database, keys and log directory of the gateway on this host, which may run or not. Computes every leaf,
    tile and root anew, opens every entry and every change, compares every checkpoint and anchor. Names each fault by
    index or file, or by tenant and change, and exits 1 if there is one. Who has nothing but the log directory and
    the verifier key checks it with `intelgraph-verify`.
    """
    from intelgraph.errors import FailedPrecondition

    call = invocation(context)
    with exit_on_wrong_settings(call):
        settings = load(context, call, config, {})
    try:
        with _progress(disable=call.json) as bars:
            verdict, logs = asyncio.run(_verdicts(settings, bars))
    except FailedPrecondition as error:
        print_refusal(error, as_json=call.json)
        raise typer.Exit(EXIT_CONFIGURATION) from error
    facts = _facts(verdict) | {"logs": [log_facts(name, log) for name, log in logs.items()]}
    call.show(facts, lambda: Group(_shown(verdict), logs_shown(logs)))
    if verdict.findings or any(log.findings for log in logs.values()):
        raise typer.Exit(EXIT_FINDINGS)


async def _verdicts(settings: "Settings", bars: Progress) -> "tuple[LedgerVerdict, dict[str, LogVerdict]]":
    """The verdict on the ledger, and on each tenant's change log by the tenant's name."""
    from intelgraph.gateway.ledger_verification import ledger_check

    task = bars.add_task("ledger", total=None)
    async with ledger_check(settings) as check:
        verdict = await check.run(lambda done, last: bars.update(task, completed=done, total=last))
    return verdict, await log_verdicts(settings, None, bars)


def _progress(*, disable: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=disable)


def _facts(verdict: "LedgerVerdict") -> dict[str, Any]:
    return {
        "origin": verdict.origin,
        "size": verdict.size,
        "root": verdict.root.hex(),
        "checkpoints": verdict.checkpoints,
        "files": verdict.files,
        "findings": [
            {
                "reason": each.reason,
                "index": each.index,
                "file": each.file,
                "table": each.table,
                "row": each.row,
                "message": each.message,
                "following": each.following,
            }
            for each in verdict.findings
        ],
        "findings_omitted": verdict.omitted,
    }


def _shown(verdict: "LedgerVerdict") -> RenderableType:
    what = f"{verdict.size:,} entries, {verdict.checkpoints:,} checkpoints, {verdict.files:,} files"
    counts = f"{what} of {verdict.origin}"
    root = verbatim(f"root {verdict.root.hex()}")
    if not verdict.findings:
        return Group(Text(counts), root, Text("as it was written", "green"))
    found = Table("index", "file or row", "what was found", "reason")
    for each in verdict.findings:
        index = "" if each.index is None else f"{each.index}"
        place = each.file or " ".join(part for part in (each.table, each.row) if part)
        follows = f"; {each.following:,} more follow from it" if each.following else ""
        found.add_row(index, place, each.message + follows, each.reason)
    more = [Text(f"and {verdict.omitted:,} more that are not shown")] if verdict.omitted else []
    count = len(verdict.findings) + verdict.omitted
    title = Text(f"{count:,} finding{'s' * (count > 1)}", "bold red")
    return Group(Text(counts), root, title, found, *more, Text("docs/ledger.md says what to do"))
