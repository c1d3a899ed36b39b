"""`intelgraph approvals key`: the keys that approvers sign with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text

from intelgraph.cli.approval_needed import says_what_to_ask_for
from intelgraph.cli.invocation import invocation
from intelgraph.cli.verbatim import verbatim

if TYPE_CHECKING:
    from collections.abc import Iterable

    from intelgraph.approvals.signing import SigningKey
    from intelgraph.client import ApproverKey, Signer

app = typer.Typer(no_args_is_help=True, help="The keys that approvers sign with.")

PASSPHRASE: Final = "INTELGRAPH_APPROVER_PASSPHRASE"  # noqa: S105 (the name of a variable)
_APPROVER: Final = "security-officer"
_READER: Final = "auditor"

_File = Annotated[Path, typer.Argument(help="Private key in PEM.", show_default=False)]
_SignWith = Annotated[
    Path | None,
    typer.Option("--sign-with", help="A key of yours that is in force; needed once you have one."),
]


@app.command()
def generate(
    context: typer.Context,
    file: _File,
    algorithm: Annotated[str, typer.Option(help="Ed25519 or ES256.")] = "Ed25519",
    passphrase: Annotated[
        bool,
        typer.Option(
            "--passphrase/--no-passphrase", help="Encrypt it with a passphrase, which is asked for."
        ),
    ] = True,
) -> None:
    """Make a key of your own, 0600, and print its public half.

    The passphrase is asked for, or taken from INTELGRAPH_APPROVER_PASSPHRASE.
    """
    from intelgraph.approvals.signing import ED25519, ES256, SigningKey
    from intelgraph.cli.approval_view import pem

    if algorithm not in {ED25519, ES256}:
        raise typer.BadParameter(f"is {ED25519} or {ES256}", param_hint="--algorithm")
    secret = _passphrase(confirm=True) if passphrase else None
    key = SigningKey.generate(algorithm)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise typer.BadParameter(
            f"{file}: {error.strerror or error}; name a file that is not there yet"
        ) from error
    with os.fdopen(descriptor, "wb") as written:
        written.write(key.pem(secret))
    public = pem(key.public.der)
    call = invocation(context)
    facts = {"key_id": key.key_id.hex(), "algorithm": algorithm, "public_key": public, "file": str(file)}
    call.show(facts, lambda: verbatim(public.rstrip()))


@app.command()
def register(
    context: typer.Context,
    file: _File,
    sign_with: _SignWith = None,
    approval: Annotated[
        UUID | None,
        typer.Option(help="The approval of exactly this; needed where all your keys were revoked."),
    ] = None,
) -> None:
    """Register the public half of a key of yours: from then on you have to sign."""
    from intelgraph.cli.approval_view import pem

    signer, endorser = _signing_key(file), read_signer(sign_with)
    call = invocation(context)
    again = ["approvals", "key", "register", str(file)]
    with says_what_to_ask_for(call, again), call.client(_APPROVER) as client:
        key = client.approvals.register_key(
            pem(signer.public.der).encode(), signer, endorser=endorser, approval=approval
        )
    call.show(_facts(key), lambda: key_table([key]))


@app.command("list")
def list_(
    context: typer.Context,
    approver: Annotated[str, typer.Argument(help="Only of this person.", show_default=False)] = "",
) -> None:
    """List the keys, those that were revoked too."""
    call = invocation(context)
    with call.client(_READER) as client:
        keys = list(client.approvals.list_keys(approver))
    call.show([_facts(key) for key in keys], lambda: key_table(keys))


@app.command()
def revoke(
    context: typer.Context,
    key_id: Annotated[str, typer.Argument(help="The key, in hexadecimal.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Why, in one line.")],
    sign_with: _SignWith = None,
) -> None:
    """Revoke a key of yours, with --sign-with, or one that another person lost."""
    try:
        wanted = bytes.fromhex(key_id)
    except ValueError as error:
        raise typer.BadParameter("is not hexadecimal: copy it from the list") from error
    endorser = read_signer(sign_with)
    call = invocation(context)
    with call.client(_APPROVER) as client:
        key = client.approvals.revoke_key(wanted, reason=reason, endorser=endorser)
    call.show(_facts(key), lambda: key_table([key]))


def read_signer(file: Path | None) -> Signer | None:
    """The key to sign with, if one is named."""
    return _signing_key(file) if file is not None else None


def _signing_key(file: Path) -> SigningKey:
    from intelgraph.approvals.signing import SigningKey

    try:
        content = file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror or error}; name a readable PEM file") from error
    secret = _passphrase(confirm=False) if b"ENCRYPTED" in content else None
    return SigningKey.read(content, secret)


def _passphrase(*, confirm: bool) -> bytes:
    given = os.environ.get(PASSPHRASE)
    if given is None:
        given = typer.prompt("Passphrase of the key", hide_input=True, confirmation_prompt=confirm, err=True)
    return str(given).encode()


def _facts(key: ApproverKey) -> dict[str, Any]:
    from intelgraph.cli.approval_view import pem

    return {
        "key_id": key.key_id.hex(),
        "approver": key.approver,
        "algorithm": key.algorithm,
        "public_key": pem(key.public_key),
        "registered_us": key.registered_us,
        "revoked_us": key.revoked_us or None,
        "revoked_by": key.revoked_by or None,
        "revoke_reason": key.revoke_reason or None,
    }


def key_table(keys: Iterable[ApproverKey]) -> Table:
    """Keys, one a row, within 80 columns; their ids are whole."""
    from intelgraph.cli.approval_view import printable
    from intelgraph.cli.moments import format_moment

    table = Table(header_style="bold", box=None, collapse_padding=True, pad_edge=False)
    table.add_column("key, registered", min_width=32, overflow="fold")
    table.add_column("approver", overflow="fold")
    table.add_column("algorithm", no_wrap=True)
    table.add_column("state", overflow="fold")
    for key in keys:
        state = (
            f"revoked by {printable(key.revoked_by)}: {printable(key.revoke_reason)}"
            if key.revoked_us
            else "in force"
        )
        table.add_row(
            Text(f"{key.key_id.hex()}\n{format_moment(key.registered_us)}"),
            Text(printable(key.approver)),
            key.algorithm,
            Text(state),
        )
    return table
