"""`intelgraph backup`: copies what the gateway on this host keeps into one file, and checks such files."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from intelgraph.cli.bars import bars
from intelgraph.cli.gateway_settings import EXIT_CONFIGURATION, ConfigFile, exit_on_wrong_settings, load
from intelgraph.cli.invocation import Invocation, invocation
from intelgraph.cli.refusal import print_refusal

if TYPE_CHECKING:
    from intelgraph.backup.manifest import Manifest
    from intelgraph.backup.taking import Taken
    from intelgraph.backup.verification import Verdict
    from intelgraph.cli.bars import Bars
    from intelgraph.gateway.settings import Settings

EXIT_FINDINGS: Final = 1

app = typer.Typer(invoke_without_command=True)


@app.callback()
def backup(
    context: typer.Context,
    to: Annotated[Path | None, typer.Option(help="File to write; it must not exist yet.")] = None,
    with_key_file: Annotated[
        bool,
        typer.Option(help="Put in what unlocks the keyring, too: whoever has the file can read everything."),
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Copy database, keyring and log of the gateway on this host into one file; it may serve meanwhile.

    The file is read back before it gets its name. Without --with-key-file nobody can read what is in it who does not
    have the keyring's key file or passphrase: keep those apart from it.
    """
    from intelgraph.errors import FailedPrecondition

    call = invocation(context)
    if context.invoked_subcommand is not None:
        return
    if to is None:
        raise typer.BadParameter("name a file that does not exist yet", param_hint="--to")
    with exit_on_wrong_settings(call):
        settings = load(context, call, config, {})
    try:
        with bars(shown=not call.json, in_bytes=True) as show:
            taken = asyncio.run(_take(settings, to, with_key_file, show))
    except FailedPrecondition as error:
        # The data directory, the database or the keyring cannot be used as the settings say.
        print_refusal(error, as_json=call.json)
        raise typer.Exit(EXIT_CONFIGURATION) from error
    except OSError as error:
        raise typer.BadParameter(f"{error.filename or to}: {error.strerror}", param_hint="--to") from error
    facts = {
        "file": str(taken.path),
        "sha256": taken.digest,
        "size": taken.size,
        "with_key_file": with_key_file,
        "unentered": taken.unentered,
        **described(taken.manifest),
    }
    call.show(facts, lambda: _taken(taken, with_key_file=with_key_file))


async def _take(settings: "Settings", to: Path, with_key_file: bool, show: "Bars") -> "Taken":
    from intelgraph.gateway.backing_up import backup_taker, operator

    async with backup_taker(settings) as taker:
        return await taker.take(to, with_key_file=with_key_file, by=operator(), progress=show)


@app.command()
def verify(context: typer.Context, file: Annotated[Path, typer.Argument(help="File of a backup.")]) -> None:
    """Check that a backup is as it was written: every byte of it, and the log in it against its checkpoint.

    Needs neither a gateway nor a key. Exits 1 where something is not as it was.
    """
    verdict = verified_backup(invocation(context), file)
    call = invocation(context)
    facts = {
        "file": str(file),
        "sha256": verdict.digest,
        "faults": [{"path": each.path, "what": each.what} for each in verdict.faults],
        **described(verdict.manifest),
    }
    call.show(
        facts, lambda: Group(_table(verdict.manifest, verdict.digest), Text("as it was written", "green"))
    )


def verified_backup(call: Invocation, file: Path) -> "Verdict":
    """The verdict on a backup without faults; names those of another one, and exits 1."""
    from intelgraph.backup.bundle import damaged
    from intelgraph.backup.verification import verified
    from intelgraph.errors import DataLoss

    try:
        with bars(shown=not call.json, in_bytes=True) as show:
            _, verdict = verified(file, lambda done, total: show("verifying", done, total))
        if verdict.faults:
            raise damaged(file, verdict.faults)
    except DataLoss as error:
        print_refusal(error, as_json=call.json)
        raise typer.Exit(EXIT_FINDINGS) from error
    return verdict


def described(manifest: "Manifest") -> dict[str, Any]:
    """What a backup holds, for a program."""
    return {
        "taken": _moment(manifest),
        "version": manifest.version,
        "origin": manifest.origin,
        "log_size": manifest.log_size,
        "checkpoint_size": manifest.checkpoint_size,
        "files": len(manifest.files),
    }


def _moment(manifest: "Manifest") -> str:
    return datetime.fromtimestamp(manifest.taken_us / 1_000_000, UTC).isoformat(timespec="seconds")


def _table(manifest: "Manifest", digest: str) -> Table:
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(overflow="fold")  # a digest that is cut off cannot be compared
    table.add_row("taken", _moment(manifest))
    table.add_row("sha256", digest)
    table.add_row("ledger", f"{manifest.log_size:,} entries, {manifest.checkpoint_size:,} of them in tiles")
    table.add_row("files", f"{len(manifest.files):,}")
    return table


def _taken(taken: "Taken", *, with_key_file: bool) -> RenderableType:
    lines: list[RenderableType] = [_table(taken.manifest, taken.digest)]
    if with_key_file:
        lines.append(Text("The key file is in it: whoever has the file can read everything.", "bold yellow"))
    else:
        lines.append(Text("The key file or passphrase of the keyring is not in it: keep it apart.", "yellow"))
    if taken.unentered is not None:
        lines.append(Text(f"The ledger has no entry of it: {taken.unentered}", "yellow"))
    return Group(*lines, Text(f"written to {taken.path} and read back", "green"))
