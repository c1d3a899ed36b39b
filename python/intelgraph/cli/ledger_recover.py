"""`intelgraph ledger recover`: gets a ledger going again after a restore."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from intelgraph.cli.bars import bars
from intelgraph.cli.gateway_settings import EXIT_CONFIGURATION, ConfigFile, exit_on_wrong_settings, load
from intelgraph.cli.invocation import invocation
from intelgraph.cli.refusal import print_refusal

if TYPE_CHECKING:
    from intelgraph.cli.bars import Bars
    from intelgraph.gateway.settings import Settings
    from intelgraph.provenance.recovery import Recovered


def recover(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Have the ledger go on after its database was restored from an older backup than what was signed.

    Replays from the log's tiles what the database lacks. Works on a gateway's host, which may run or not.
    """
    from intelgraph.errors import FailedPrecondition

    call = invocation(context)
    with exit_on_wrong_settings(call):
        settings = load(context, call, config, {})
    try:
        with bars(shown=not call.json, in_bytes=False) as show:
            recovered = asyncio.run(_recover(settings, dry_run, show))
    except FailedPrecondition as error:
        if error.reason.startswith("LEDGER_"):
            raise
        # The data directory, the database or the keyring cannot be used as the settings say.
        print_refusal(error, as_json=call.json)
        raise typer.Exit(EXIT_CONFIGURATION) from error
    call.show(_recovered(recovered, dry_run), lambda: _recovered_shown(recovered, dry_run))


async def _recover(settings: "Settings", dry_run: bool, show: "Bars") -> "Recovered":
    from intelgraph.gateway.backing_up import ledger_at_hand, operator

    async with ledger_at_hand(settings) as hand:
        return await hand.recovery.recover(
            operator(), dry_run=dry_run, progress=lambda done, total: show("entries", done, total)
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
