"""`intelgraph approvals`: asks for approvals, shows precisely what will happen, and decides."""

from __future__ import annotations

import json
import re
import sys
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer
from rich.console import Console, Group
from rich.text import Text

from intelgraph.cli.approval_keys import app as key_app
from intelgraph.cli.approval_keys import read_signer
from intelgraph.cli.approval_view import (
    approval_as_json,
    approval_for_people,
    approval_table,
    news_as_json,
    news_line,
)
from intelgraph.cli.confirmation import confirm
from intelgraph.cli.invocation import Invocation, invocation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intelgraph.client import Approval, Client

app = typer.Typer(no_args_is_help=True, help="Ask for approvals, see precisely what will happen, and decide.")
app.add_typer(key_app, name="key")

_READER: Final = "auditor"
_REQUESTER: Final = "operator"
_APPROVER: Final = "security-officer"
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

_Id = Annotated[UUID, typer.Argument(help="The approval.", show_default=False)]
_SignWith = Annotated[
    Path | None,
    typer.Option("--sign-with", help="Private key in PEM; who has registered one has to sign.", exists=False),
]


def _duration(text: str) -> int:
    """Seconds. Raises BadParameter."""
    found = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", text)
    if found is None:
        raise typer.BadParameter("is a number and s, m, h or d, as 4h")
    return int(found[1]) * _SECONDS[found[2]]


@app.command("list")
def list_(
    context: typer.Context,
    state: Annotated[
        list[str] | None,
        typer.Option(
            help="Only those; may be repeated: requested, approved, denied, withdrawn, expired, used."
        ),
    ] = None,
    kind: Annotated[str, typer.Option(help="Only of this kind, for example flag.change.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Most approvals to show.")] = 50,
) -> None:
    """List approvals, newest first."""
    from intelgraph.client import ApprovalState

    names = [each.name.lower() for each in ApprovalState]
    for unknown in set(state or ()) - set(names):
        raise typer.BadParameter(f"no such state: {unknown}; there are {', '.join(names)}")
    states = [ApprovalState[each.upper()] for each in state or ()]
    called = invocation(context)
    with called.client(_READER) as client:
        approvals = list(islice(client.approvals.list(states, kind), limit))
    called.show([approval_as_json(each) for each in approvals], lambda: approval_table(approvals))


@app.command()
def show(context: typer.Context, approval_id: _Id) -> None:
    """Show precisely what will happen, and where the approval stands.

    With --json, all that an auditor needs: `intelgraph approvals verify` checks it.
    """
    called = invocation(context)
    with called.client(_READER) as client:
        approval = client.approvals.get(approval_id)
    _show(called, approval)


@app.command()
def request(
    context: typer.Context,
    kind: Annotated[
        str, typer.Argument(help="Kind of the act, for example flag.change.", show_default=False)
    ],
    document: Annotated[
        str,
        typer.Option(
            help="What exactly is to happen: a JSON file, - for standard input, or the object itself."
        ),
    ],
    reason: Annotated[str, typer.Option(help="Why, in one line.")],
    ticket: Annotated[str, typer.Option(help="Where it is worked on.")] = "",
    role: Annotated[str, typer.Option(help="Whose holders decide; by default as the kind says.")] = "",
    quorum: Annotated[
        int, typer.Option(min=0, max=16, help="How many have to approve; 0 as the kind says.")
    ] = 0,
    expires: Annotated[
        int, typer.Option(parser=_duration, metavar="DURATION", help="For how long it holds: 30m, 4h, 7d.")
    ] = "1d",  # type: ignore[assignment]  # parsed as what is given
    platform: Annotated[
        bool, typer.Option("--platform", help="The act concerns the platform as a whole.")
    ] = False,
    supersedes: Annotated[
        UUID | None, typer.Option(help="An open request of yours, that this one takes the place of.")
    ] = None,
) -> None:
    """Ask for the consent to an act."""
    called = invocation(context)
    with called.client(_REQUESTER) as client:
        approval = client.approvals.request(
            kind,
            _content(document),
            reason=reason,
            ticket=ticket,
            role=role,
            quorum=quorum,
            expires_in_s=expires,
            platform=platform,
            supersedes=supersedes,
        )
    _show(called, approval)


@app.command()
def approve(
    context: typer.Context,
    approval_id: _Id,
    reason: Annotated[str, typer.Option(help="A remark, in one line.")] = "",
    sign_with: _SignWith = None,
    digest: Annotated[
        str, typer.Option(help="Approve only if the document has this SHA-256, in hexadecimal.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Approve, after it was shown what will happen.

    Where nobody can be asked, with --json or without a terminal, it takes --yes or --digest.
    """
    called = invocation(context)
    signer = read_signer(sign_with)
    with _to_decide(called, approval_id) as (client, approval):
        if digest and digest.lower() != approval.digest.hex():
            raise typer.BadParameter(f"the document has another digest: {approval.digest.hex()}")
        if not yes and not digest:
            confirm(
                called,
                "Approve it?",
                shown=approval_for_people(approval),
                instead="--yes, or --digest with that of the document that you have seen",
            )
        decided = client.approvals.approve(approval, reason=reason, signer=signer)
    _show(called, decided)


@app.command()
def deny(
    context: typer.Context,
    approval_id: _Id,
    reason: Annotated[str, typer.Option(help="Why, in one line.")],
    sign_with: _SignWith = None,
) -> None:
    """Deny for good, also what has its quorum, as long as it was not used."""
    called = invocation(context)
    signer = read_signer(sign_with)
    with _to_decide(called, approval_id) as (client, approval):
        decided = client.approvals.deny(approval, reason=reason, signer=signer)
    _show(called, decided)


@app.command()
def withdraw(context: typer.Context, approval_id: _Id) -> None:
    """Take a request of yours back."""
    called = invocation(context)
    with called.client(_REQUESTER) as client:
        approval = client.approvals.withdraw(approval_id)
    _show(called, approval)


@app.command()
def watch(
    context: typer.Context,
    kind: Annotated[str, typer.Option(help="Only of this kind.")] = "",
    role: Annotated[str, typer.Option(help="Role to look for, with a minted token.")] = _APPROVER,
    until_now: Annotated[bool, typer.Option("--until-now", help="End after what waits already.")] = False,
) -> None:
    """Show what waits for you to decide: what is there first, then what comes."""
    called = invocation(context)
    console = Console()
    with called.client(*{_APPROVER, role}) as client:
        for news in client.approvals.watch(kind):
            if news.approval is None:
                if until_now:
                    return
            elif called.json:
                typer.echo(json.dumps(news_as_json(news), ensure_ascii=False))
            else:
                console.print(news_line(news.approval, awaits=news.awaits_caller))


@app.command()
def verify(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(help="An approval, or a file that `show --json` wrote.", show_default=False),
    ],
    trusted_key: Annotated[
        list[Path] | None,
        typer.Option(help="Public key in PEM that is known to be an approver's; may be repeated."),
    ] = None,
) -> None:
    """Check an approval without trusting the database: its digest, its statements and their signatures.

    With --trusted-key each approval has to be signed with one of those keys. Exits 1 where it finds a fault.
    """
    from intelgraph.approvals.proof import check, signed
    from intelgraph.approvals.signing import PublicKey

    called = invocation(context)
    trusted = {PublicKey.read(_read(file)).key_id for file in trusted_key} if trusted_key else None
    proof = _proof(called, what)
    faults = check(proof, trusted)
    approvals = sum(1 for each in proof["decisions"] if each["decision"] == "approve")
    facts: dict[str, Any] = {
        "approval_id": proof["approval_id"],
        "state": proof["state"],
        "approvals": approvals,
        "signed": signed(proof),
        "faults": faults,
    }
    called.show(
        facts,
        lambda: Group(
            *(Text(f"fault: {fault}", style="bold red") for fault in faults),
            Text(
                f"{proof['approval_id']} is {proof['state']}: {facts['signed']} of {approvals} approvals are signed"
            ),
            Text(_verdict(faults, unsigned=approvals - facts["signed"], trusting=trusted is not None)),
        ),
    )
    if faults:
        raise typer.Exit(1)


def _verdict(faults: list[str], *, unsigned: int, trusting: bool) -> str:
    if faults:
        return "it does not prove what it says"
    if trusting:
        return "it proves what it says"
    if unsigned:
        return f"nothing contradicts it; what is not signed ({unsigned}) rests on the database's word"
    return "nothing contradicts it; --trusted-key says which keys are known to be the approvers'"


@contextmanager
def _to_decide(called: Invocation, approval_id: UUID) -> Iterator[tuple[Client, Approval]]:
    """The approval, and a client that holds the role which decides it, where it mints its tokens."""
    with called.client(_APPROVER) as client:
        approval = client.approvals.get(approval_id)
        if approval.role == _APPROVER:
            yield client, approval
            return
    with called.client(_APPROVER, approval.role) as client:
        yield client, approval


def _show(called: Invocation, approval: Approval) -> None:
    called.show(approval_as_json(approval), lambda: approval_for_people(approval))


def _content(document: str) -> bytes:
    if document == "-":
        return sys.stdin.buffer.read()
    return document.encode() if document.lstrip().startswith("{") else _read(Path(document))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror or error}; name a readable file") from error


def _proof(called: Invocation, what: str) -> dict[str, Any]:
    try:
        approval_id = UUID(what)
    except ValueError:
        try:
            proof = json.loads(_read(Path(what)))
        except ValueError as error:
            raise typer.BadParameter(f"{what} is not JSON") from error
        if not isinstance(proof, dict):
            raise typer.BadParameter(f"{what} is not a JSON object") from None
        return proof
    with called.client(_READER) as client:
        return approval_as_json(client.approvals.get(approval_id))
