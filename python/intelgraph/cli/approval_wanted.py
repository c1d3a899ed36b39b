"""An act that takes an approval was tried without one: which, and how to ask for it."""

import json
import shlex

import typer
from rich.console import Console
from rich.markup import escape

from intelgraph.cli.invocation import Invocation
from intelgraph.errors import FailedPrecondition


def say_what_to_ask_for(error: FailedPrecondition, called: Invocation, again: str) -> None:
    """The refusal, and the two lines that lead on: each whole, to be pasted."""
    request = " ".join(
        [
            "intelgraph",
            *for_tenant(called),
            "approvals request",
            error.metadata["kind"],
            *(["--platform"] if error.metadata.get("platform") == "true" else []),
            "--reason WHY --document",
            shlex.quote(error.metadata["document"]),
        ]
    )
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


def for_tenant(called: Invocation) -> list[str]:
    """The option that names the tenant, where it is not the default."""
    return [] if called.tenant == "local" else ["--tenant", called.tenant]
