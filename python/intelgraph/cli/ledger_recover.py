"""`intelgraph ledger recover`: gets a ledger going again after a restore."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from intelgraph.cli.bars import bars
from intelgraph.cli.gateway_settings import EXIT_CONFIGURATION, ConfigFile, exit_on_wrong_settings, load
from intelgraph.cli.invocation import invocation
from intelgraph.cli.refusal import print_refusal

if TYPE_CHECKING:
    from intelgraph.cli.bars import Bars
    from intelgraph.gateway.settings import Settings
    from intelgraph.provenance.recovery import Acknowledged, Recovered, Standing


def recover(
    context: typer.Context,
    acknowledge: Annotated[
        bool, typer.Option("--acknowledge", help="Give the signed log up: two people have approved it.")
    ] = False,
    approval: Annotated[str | None, typer.Option(help="Id of the approval; with --acknowledge.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the entry; with --acknowledge.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write what two people approve to this file; with both."),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Have the ledger go on after its database was restored from an older backup than what was signed.

    Replays from the log's tiles what the database lacks. Works on a gateway's host, which may run or not. Where the
    tiles are lost, or the database went on with other entries, --acknowledge gives the signed log up; --dry-run with
    it prints the document that two people have to approve.
    """
    from intelgraph.errors import FailedPrecondition

    call = invocation(context)
    if acknowledge and not dry_run and (approval is None or not reason.strip()):
        raise typer.BadParameter("giving a signed log up takes --approval and --reason")
    with exit_on_wrong_settings(call):
        settings = load(context, call, config, {})
    try:
        if acknowledge and dry_run:
            standing = asyncio.run(_standing(settings))
            if output is not None:
                output.write_text(json.dumps(dict(standing.document())) + "\n")
            call.show(_to_approve(standing), lambda: _standing_shown(standing))
        elif acknowledge:
            acknowledged = asyncio.run(_acknowledge(settings, _approval_id(approval), reason))
            call.show(_acknowledged(acknowledged), lambda: _acknowledged_shown(acknowledged))
        else:
            with bars(shown=not call.json, in_bytes=False) as show:
                recovered = asyncio.run(_recover(settings, dry_run, show))
            call.show(_recovered(recovered, dry_run), lambda: _recovered_shown(recovered, dry_run))
    except FailedPrecondition as error:
        if error.reason.startswith(("LEDGER_", "APPROVAL_")):
            raise
        # The data directory, the database or the keyring cannot be used as the settings say.
        print_refusal(error, as_json=call.json)
        raise typer.Exit(EXIT_CONFIGURATION) from error


def _approval_id(given: str | None) -> UUID:
    try:
        return UUID(given or "")
    except ValueError:
        raise typer.BadParameter(
            "is no id of an approval: copy it from the list", param_hint="--approval"
        ) from None


async def _recover(settings: "Settings", dry_run: bool, show: "Bars") -> "Recovered":
    from intelgraph.gateway.backing_up import ledger_at_hand, operator, platform_approvals

    async with ledger_at_hand(settings) as hand:
        approvals = await platform_approvals(settings, hand)
        return await hand.recovery.recover(
            operator(),
            approvals=approvals,
            dry_run=dry_run,
            progress=lambda done, total: show("entries", done, total),
        )


async def _standing(settings: "Settings") -> "Standing":
    from intelgraph.gateway.backing_up import ledger_at_hand

    async with ledger_at_hand(settings) as hand:
        return await hand.recovery.standing()


async def _acknowledge(settings: "Settings", approval_id: UUID, reason: str) -> "Acknowledged":
    from intelgraph.gateway.backing_up import ledger_at_hand, operator, platform_approvals

    async with ledger_at_hand(settings) as hand:
        approvals = await platform_approvals(settings, hand)
        return await hand.recovery.acknowledge(
            operator(), approval_id=approval_id, reason=reason, approvals=approvals
        )


def _recovered(recovered: "Recovered", dry_run: bool) -> dict[str, Any]:
    return {
        "origin": recovered.origin,
        "first_index": recovered.first_index,
        "size": recovered.size,
        "root": recovered.root.hex(),
        "sealed_found": None if dry_run else recovered.sealed_found,
        "done": not dry_run,
    }


def _recovered_shown(recovered: "Recovered", dry_run: bool) -> RenderableType:
    count = recovered.size - recovered.first_index
    done = "would be replayed" if dry_run else "were replayed"
    lines = [
        f"{count:,} entries, from {recovered.first_index:,} on, {done} from the tiles of {recovered.origin}",
        f"the log has {recovered.size:,} entries then, with the root {recovered.root.hex()}",
    ]
    if not dry_run:
        lines.append(
            f"{recovered.sealed_found:,} of them still had their content in the database; of the others the proof stays"
        )
    return Group(*(Text(line) for line in lines))


def _to_approve(standing: "Standing") -> dict[str, Any]:
    from intelgraph.provenance.recovery import APPROVAL_KIND

    return {
        "kind": APPROVAL_KIND,
        "document": dict(standing.document()),
        "recoverable": standing.is_behind,
    }


def _standing_shown(standing: "Standing") -> RenderableType:
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in standing.document().items():
        table.add_row(name, str(value))
    hint = (
        "Try `intelgraph ledger recover` first: the database has nothing that the tiles contradict."
        if standing.is_behind
        else "Both logs went on from there: the tiles cannot be replayed into this database."
    )
    return Group(table, Text(hint, "yellow"))


def _acknowledged(acknowledged: "Acknowledged") -> dict[str, Any]:
    return {
        "origin": acknowledged.origin,
        "given_up": dict(acknowledged.standing.document()),
        "set_aside": list(acknowledged.set_aside),
    }


def _acknowledged_shown(acknowledged: "Acknowledged") -> RenderableType:
    lines = [f"the log goes on as {acknowledged.origin}: give its name and key to those who follow it"]
    lines += [f"the former log lies in {place}" for place in acknowledged.set_aside]
    return Group(*(Text(line) for line in lines))
