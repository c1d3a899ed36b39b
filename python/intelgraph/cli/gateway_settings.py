"""The flags of the verbs that read the gateway's settings, and what a wrong setting ends with: exit 64."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape

from intelgraph.cli.invocation import Invocation

if TYPE_CHECKING:
    from intelgraph.gateway.settings import Settings

EXIT_CONFIGURATION: Final = 64

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="INTELGRAPH_CONFIG",
        help="Settings file; by default ./intelgraph.toml if it exists.",
    ),
]


def load(context: typer.Context, call: Invocation, file: Path | None, flags: dict[str, Any]) -> "Settings":
    """The settings; `flags` by their path with dots, those that are None were not given.

    Raises ConfigurationError.
    """
    from intelgraph.gateway.settings import load_settings

    given: dict[str, Any] = {}
    source = context.find_root().get_parameter_source("data_dir")
    if source is not None and source.name != "DEFAULT":
        given["data_dir"] = call.data_dir
    for path, value in flags.items():
        if value is None:
            continue
        *parents, name = path.split(".")
        holder = given
        for parent in parents:
            holder = holder.setdefault(parent, {})
        holder[name] = value
    return load_settings(given, file)


@contextmanager
def exit_on_wrong_settings(call: Invocation) -> Iterator[None]:
    """Prints each wrong setting with its fix and exits 64."""
    from intelgraph.gateway.settings import ConfigurationError

    try:
        yield
    except ConfigurationError as error:
        if call.json:
            wrong = [{"setting": each.name, "problem": each.problem} for each in error.wrong]
            sys.stderr.write(json.dumps({"wrong_settings": wrong}, ensure_ascii=False) + "\n")
        else:
            console = Console(stderr=True, highlight=False)
            for each in error.wrong:
                console.print(
                    f"[bold red]wrong setting[/] [bold]{escape(each.name)}[/] {escape(each.problem)}"
                )
        raise typer.Exit(EXIT_CONFIGURATION) from error
