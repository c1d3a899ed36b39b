"""`intelgraph restore`: makes a data directory, and a database, from a backup."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from intelgraph.cli.backup import described, verified_backup
from intelgraph.cli.bars import bars
from intelgraph.cli.gateway_settings import EXIT_CONFIGURATION, ConfigFile, exit_on_wrong_settings, load
from intelgraph.cli.invocation import invocation
from intelgraph.cli.refusal import print_refusal

if TYPE_CHECKING:
    from intelgraph.backup.restoring import Restored
    from intelgraph.backup.verification import Verdict
    from intelgraph.cli.bars import Bars
    from intelgraph.gateway.settings import Settings

app = typer.Typer()


@app.command()
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FROM", help="File that `intelgraph backup` wrote.")],
    config: ConfigFile = None,
) -> None:
    """Restore a backup into the data directory and database that the settings name, both of them empty.

    The whole file is verified before anything is written. A log directory or keyring that the settings place elsewhere
    and that is still there stays as it is.
    """
    from intelgraph.errors import FailedPrecondition

    call = invocation(context)
    with exit_on_wrong_settings(call):
        settings = load(context, call, config, {})
    verdict = verified_backup(call, file)
    try:
        with bars(shown=not call.json, in_bytes=True) as show:
            restored = asyncio.run(_restore(settings, file, show))
        unentered = asyncio.run(_enter(settings, verdict))
    except FailedPrecondition as error:
        print_refusal(error, as_json=call.json)
        raise typer.Exit(EXIT_CONFIGURATION) from error
    except OSError as error:
        raise typer.BadParameter(f"{error.filename or file}: {error.strerror}") from error
    facts = {
        "file": str(file),
        "sha256": verdict.digest,
        "data_dir": str(restored.data_dir),
        "kept": [str(path) for path in restored.kept],
        "key_file": restored.has_unlock,
        "unentered": unentered,
        **described(verdict.manifest),
    }
    call.show(facts, lambda: _shown(restored, unentered))


async def _restore(settings: "Settings", file: Path, show: "Bars") -> "Restored":
    from intelgraph.backup.bundle import Bundle
    from intelgraph.gateway.backing_up import restorer

    return await restorer(settings).restore(Bundle.open(file), show)


async def _enter(settings: "Settings", verdict: "Verdict") -> str | None:
    from intelgraph.gateway.backing_up import enter_restored
    from intelgraph.provenance.kinds.ledger import BackupRestored

    return await enter_restored(settings, BackupRestored(verdict.digest, verdict.manifest.log_size))


def _shown(restored: "Restored", unentered: str | None) -> RenderableType:
    lines: list[RenderableType] = [Text(f"restored into {restored.data_dir}", "green")]
    lines += [Text(f"kept as it was: {path}", "yellow") for path in restored.kept]
    if not restored.has_unlock:
        lines.append(
            Text("The backup has no key file: put it into its place, or give the passphrase.", "yellow")
        )
    return Group(
        *lines, Text("next: intelgraph serve; docs/backup.md says what to do if the ledger is forked")
    )
