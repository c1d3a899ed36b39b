"""`intelgraph config`: what the gateway would be told."""

from typing import TYPE_CHECKING

import typer
from rich.table import Table

from intelgraph.cli.gateway_settings import ConfigFile, exit_on_wrong_settings, load
from intelgraph.cli.invocation import invocation

if TYPE_CHECKING:
    from pydantic import BaseModel

app = typer.Typer(no_args_is_help=True, help="Look at the gateway's settings.")


@app.callback()
def config() -> None:
    """Keeps `check` a verb of its own while it is the only one."""


@app.command()
def check(context: typer.Context, file: ConfigFile = None) -> None:
    """Check the settings and the files they name, and print them. Exits 64 and names what is wrong."""
    from intelgraph.gateway.settings_check import check_files

    call = invocation(context)
    with exit_on_wrong_settings(call):
        settings = load(context, call, file, {})
        check_files(settings)
    call.show(settings.model_dump(mode="json"), lambda: _table(settings))


def _table(settings: "BaseModel") -> Table:
    table = Table("setting", "value", "meaning", title="the gateway can start with these settings")
    _add_rows(table, settings, "")
    return table


def _add_rows(table: Table, part: "BaseModel", prefix: str) -> None:
    from pydantic import BaseModel

    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if isinstance(value, BaseModel):
            _add_rows(table, value, f"{prefix}{name}.")
        else:
            table.add_row(f"{prefix}{name}", "" if value is None else str(value), field.description or "")
