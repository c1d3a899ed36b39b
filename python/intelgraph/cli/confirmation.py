"""Asks a person before what cannot be undone; where nobody can be asked, the command line has to say so itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer
from rich.console import Console

if TYPE_CHECKING:
    from rich.console import RenderableType

    from intelgraph.cli.invocation import Invocation


def confirm(called: Invocation, question: str, *, shown: RenderableType = "", instead: str = "--yes") -> None:
    """Shows what it is about, and asks; a person who says no ends the verb.

    With --json, or without a terminal, nobody is asked, and silence is no consent: raises BadParameter, which says
    what to add instead.
    """
    if called.json or not sys.stdin.isatty():
        raise typer.BadParameter(f"nobody is asked with --json, or without a terminal: add {instead}")
    if shown:
        Console().print(shown)
    typer.confirm(question, abort=True)
