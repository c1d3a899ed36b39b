"""`intelgraph ledger`: who did what, when, and the proof that it was not changed since."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer
from rich.console import Console, Group
from rich.text import Text

from intelgraph.cli.approval_needed import says_what_to_ask_for
from intelgraph.cli.confirmation import confirm
from intelgraph.cli.invocation import invocation
from intelgraph.cli.ledger_listing import PASSED_OVER, listing, listing_as_json, listing_view
from intelgraph.cli.ledger_recover import recover
from intelgraph.cli.ledger_verify import verify
from intelgraph.cli.ledger_view import checkpoint_view, entry_as_json, entry_table, entry_view
from intelgraph.cli.moments import parse_moment
from intelgraph.cli.verbatim import verbatim

if TYPE_CHECKING:
    from intelgraph.client import LedgerProof

EXIT_FINDINGS: Final = 1
_AUDITOR: Final = "auditor"

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Who did what, when, and the proof that it was not changed since.",
)

Index = Annotated[int, typer.Argument(min=0, help="Index of the entry.", show_default=False)]
Kinds = Annotated[
    list[str] | None,
    typer.Option("--kind", help="Only of this kind, for example contract.published; may be repeated."),
]


@app.command("list")
def list_(
    context: typer.Context,
    kind: Kinds = None,
    subject: Annotated[
        str, typer.Option(help="Only about this, for example contract:flights@1.0.0.", show_default=False)
    ] = "",
    about: Annotated[
        str, typer.Option(help="Only of this tenant; for the platform tenant.", show_default=False)
    ] = "",
    since: Annotated[
        str | None, typer.Option(help="Only from this moment on, ISO 8601 or microseconds.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only before this moment.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most entries to show.")] = 50,
    everything: Annotated[
        bool,
        typer.Option("--all", help=f"Show {PASSED_OVER} too, which every call of this command line leaves."),
    ] = False,
) -> None:
    """List entries, newest first.

    A tenant sees its own; the platform tenant sees those of all, and finds a tenant's subject with --about. Entries
    that a token was minted are counted and not shown, unless --all, --kind or --subject asks for them.
    """
    called = invocation(context)
    everything = everything or bool(kind) or bool(subject)
    with called.client(_AUDITOR) as client:
        listed = listing(
            client.ledger.list(
                kinds=kind or (),
                subject=subject,
                about_tenant=about,
                from_us=parse_moment(since) if since else None,
                to_us=parse_moment(until) if until else None,
                page_size=min(limit, 1000) if everything else 500,
            ),
            limit,
            everything=everything,
        )
    called.show(listing_as_json(listed), lambda: listing_view(listed))


@app.command()
def show(context: typer.Context, index: Index) -> None:
    """Show an entry: who did it, what it says, and what the public log has of it.

    With --json come the salts too: who is given header, payload and salts can check them against the leaf.
    """
    called = invocation(context)
    with called.client(_AUDITOR) as client:
        entry = client.ledger.get(index)
        eraser = None if entry.erased_by_index is None else client.ledger.get(entry.erased_by_index)
    called.show(entry_as_json(entry, whole=True), lambda: entry_view(entry, eraser))


@app.command()
def tail(
    context: typer.Context,
    kind: Kinds = None,
    from_index: Annotated[
        int | None,
        typer.Option("--from", min=0, help="Begin with this index; by default with the next entry."),
    ] = None,
) -> None:
    """Follow entries as they come, until Ctrl-C. With --json one document a line."""
    called = invocation(context)
    console = Console()
    with called.client(_AUDITOR) as client, suppress(KeyboardInterrupt):
        for entry in client.ledger.tail(from_index=from_index, kinds=kind or ()):
            if called.json:
                called.show(entry_as_json(entry), lambda: "")
            else:
                console.print(entry_table([entry], header=False))
            sys.stdout.flush()


@app.command()
def checkpoint(
    context: typer.Context,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the signed note to this file.")
    ] = None,
) -> None:
    """Show the last signed checkpoint, what verifies it, and whether anything waits.

    Exits 1 while the log in the database is not the one that was signed.
    """
    called = invocation(context)
    with called.client(_AUDITOR) as client:
        found = client.ledger.checkpoint()
    if output is not None:
        output.write_bytes(found.note)
    called.show(
        {
            "checkpoint": found.note.decode(),
            "verifier_keys": list(found.verifier_keys),
            "fork_index": found.fork_index,
            "waiting": found.waiting,
        },
        lambda: checkpoint_view(found),
    )
    if found.fork_index is not None:
        raise typer.Exit(EXIT_FINDINGS)


@app.command()
def proof(
    context: typer.Context,
    index: Annotated[
        int | None, typer.Argument(min=0, help="Entry to prove; without one, --from is needed.")
    ] = None,
    from_size: Annotated[
        int | None, typer.Option("--from", min=1, help="Prove that the log only grew since this size.")
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", min=1, help="Size of the log; by default the checkpoint's.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the proof to this file.")
    ] = None,
) -> None:
    """Prove that an entry is in the log, or that the log only grew.

    The file that -o writes holds proof and checkpoint, and is what `intelgraph-verify inclusion` and
    `intelgraph-verify consistency` take: they need nothing else but the verifier key.
    """
    if (index is None) == (from_size is None):
        raise typer.BadParameter("name an index, or --from a size: one of them")
    called = invocation(context)
    with called.client(_AUDITOR) as client:
        if index is not None:
            found = client.ledger.prove_inclusion(index, size)
        else:
            found = client.ledger.prove_consistency(from_size or 1, size)
    if output is not None:
        if not found.file:
            raise typer.BadParameter(
                "no checkpoint is of that size: leave --size out, or take the hashes from --json"
            )
        output.write_bytes(found.file)
    called.show(
        {
            "size": found.size,
            "hashes": [each.hex() for each in found.hashes],
            "leaf_hash": found.leaf_hash.hex() or None,
            "file": None if output is None else str(output),
        },
        lambda: _proof_view(found, output),
    )


def _proof_view(found: LedgerProof, output: Path | None) -> Group:
    lines = [
        Text(f"in the log of {found.size:,} entries; {len(found.hashes)} hashes, the lowest first", "bold")
    ]
    lines += [verbatim(f"  {each.hex()}") for each in found.hashes]
    if output is not None:
        lines.append(Text(f"written to {output}: `intelgraph-verify` checks it with the verifier key alone"))
    return Group(*lines)


@app.command()
def cosign(
    context: typer.Context,
    size: Annotated[int, typer.Argument(min=1, help="Size of the checkpoint.", show_default=False)],
    line: Annotated[
        str,
        typer.Argument(help="The witness's signature line, beginning with an em dash.", show_default=False),
    ],
) -> None:
    """Hand in a witness's signature of a checkpoint (C2SP tlog-cosignature)."""
    called = invocation(context)
    with called.client("operator") as client:
        note = client.ledger.cosign(size, line)
    called.show({"checkpoint": note.decode()}, lambda: verbatim(note.decode().rstrip()))


@app.command()
def erase(
    context: typer.Context,
    index: Index,
    reason: Annotated[str, typer.Option(help="Why; is an entry of the ledger for good.")],
    approval: Annotated[
        UUID | None, typer.Option(help="The approval of exactly this.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase what an entry says. Its leaf and every proof stay, and that you erased it, and why, is an entry.

    Takes an approval: without one this says which, and how to ask for it. Only entries of kinds that nothing is held
    against can be erased.
    """
    called = invocation(context)
    if approval is not None and not yes:
        confirm(called, f"Erase header and payload of entry {index} for good?")
    with (
        says_what_to_ask_for(called, ["ledger", "erase", str(index), "--reason", reason]),
        called.client("security-officer") as client,
    ):
        entry = client.ledger.erase(index, reason, approval=approval)
    called.show(entry_as_json(entry), lambda: entry_table([entry]))


app.command()(verify)
app.command()(recover)
