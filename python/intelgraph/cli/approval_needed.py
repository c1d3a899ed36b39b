"""What a verb says that takes an approval: the refusal, and the two lines that lead on, each whole, to be pasted."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intelgraph.cli.invocation import Invocation
    from intelgraph.errors import FailedPrecondition


def names_approval(error: FailedPrecondition) -> bool:
    """Whether the refusal says which approval it takes."""
    return error.reason == "APPROVAL_MISSING" and "document" in error.metadata


def say_what_to_ask_for(error: FailedPrecondition, called: Invocation, again: Sequence[str]) -> None:
    """Prints the refusal, how to ask for the approval, and `again`, the verb that was refused, with its id."""
    request = approval_request(
        called,
        error.metadata["kind"],
        error.metadata["document"],
        platform=error.metadata.get("platform") == "true",
    )
    then = f"{shlex.join(['intelgraph', *_for_tenant(called), *again])} --approval ID"
    if called.json:
        facts = {
            "reason": error.reason,
            "message": error.message,
            "fix": error.fix,
            "metadata": error.metadata,
            "request": request,
            "then": then,
        }
        typer.echo(json.dumps({"error": facts}, ensure_ascii=False), err=True)
        return
    console = Console(stderr=True, highlight=False)
    console.print(f"[bold red]{error.reason}[/] {escape(error.message)}")
    console.print("[bold]ask for it[/]")
    typer.echo(f"  {request}", err=True)
    console.print("[bold]and once it is approved[/]")
    typer.echo(f"  {then}", err=True)


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


def _for_tenant(called: Invocation) -> list[str]:
    return [] if called.tenant == "local" else ["--tenant", called.tenant]
