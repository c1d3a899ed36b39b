"""What a verb says that takes an approval and has none: the two lines that lead on, each whole, to be pasted."""

from __future__ import annotations

import json
import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape

from intelgraph.cli.refusal import EXIT_BAD_INPUT
from intelgraph.errors import FailedPrecondition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intelgraph.cli.invocation import Invocation


@contextmanager
def says_what_to_ask_for(called: Invocation, again: list[str]) -> Iterator[None]:
    """Ends the verb with the two lines where the gateway refuses for want of an approval.

    `again` are the words of the verb; --approval is added to them.
    """
    try:
        yield
    except FailedPrecondition as error:
        if error.reason != "APPROVAL_MISSING" or "document" not in error.metadata:
            raise
        _say(error, called, f"{shlex.join(['intelgraph', *_for_tenant(called), *again])} --approval ID")
        raise typer.Exit(EXIT_BAD_INPUT) from error


def approval_request(called: Invocation, kind: str, document: str, *, platform: bool = False) -> str:
    """The line that asks for an approval of exactly this document."""
    return " ".join(
        [
            "intelgraph",
            *_for_tenant(called),
            "approvals request",
            kind,
            *(["--platform"] if platform else []),
            "--reason WHY --document",
            shlex.quote(document),
        ]
    )


def _say(error: FailedPrecondition, called: Invocation, again: str) -> None:
    platform = error.metadata.get("platform") == "true"
    request = approval_request(called, error.metadata["kind"], error.metadata["document"], platform=platform)
    if called.json:
        facts = {
            "reason": error.reason,
            "message": error.message,
            "fix": error.fix,
            "metadata": error.metadata,
            "request": request,
            "then": again,
        }
        typer.echo(json.dumps({"error": facts}, ensure_ascii=False), err=True)
        return
    console = Console(stderr=True, highlight=False)
    console.print(f"[bold red]{error.reason}[/] {escape(error.message)}")
    console.print("[bold]ask for it[/]")
    typer.echo(f"  {request}", err=True)
    console.print("[bold]and once it is approved[/]")
    typer.echo(f"  {again}", err=True)


def _for_tenant(called: Invocation) -> list[str]:
    return [] if called.tenant == "local" else ["--tenant", called.tenant]
