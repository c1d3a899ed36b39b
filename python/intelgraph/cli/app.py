"""`intelgraph`: the verbs, the options that all of them share, and how errors end.

Exit codes: 0 done, 1 findings, 2 bad input or usage, 3 the gateway is unreachable or failed, 64 wrong
configuration, 130 `ingest` was interrupted.
"""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from intelgraph import __version__
from intelgraph.cli.invocation import Invocation, account_name
from intelgraph.cli.local_gateway import LocalGateway
from intelgraph.cli.refusal import exit_code_of, print_refusal

VERBS: Final = {
    "serve": "intelgraph.cli.serve",
    "demo": "intelgraph.cli.demo",
    "ingest": "intelgraph.cli.ingest",
    "entity": "intelgraph.cli.entity",
    "contract": "intelgraph.cli.contract",
    "quarantine": "intelgraph.cli.quarantine",
    "approvals": "intelgraph.cli.approvals",
    "token": "intelgraph.cli.token",
    "config": "intelgraph.cli.config",
    "tenants": "intelgraph.cli.tenants",
    "flags": "intelgraph.cli.flags",
    "log": "intelgraph.cli.log",
    "ledger": "intelgraph.cli.ledger",
    "operations": "intelgraph.cli.operations",
    "retention": "intelgraph.cli.retention",
    "policy": "intelgraph.cli.policy",
    "backup": "intelgraph.cli.backup",
    "restore": "intelgraph.cli.restore",
}
"""The module of each verb, in the order of the help."""

_READ_ALL_SETTINGS: Final = frozenset({"serve", "config", "log", "backup", "restore"})
"""Verbs that load the gateway's settings themselves, with --config, and say what is wrong with them."""

_SHARED_WITH_VALUE: Final = frozenset(
    {"--server", "--token", "--tenant", "--as", "--data-dir", "--ca", "--certificate", "--key"}
)
_SHARED_FLAGS: Final = frozenset({"--json"})


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


class VerbGroup(TyperGroup):
    """Imports a verb when it is called, or when the help lists it."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the verbs."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb of that name; None if there is none."""
        if cmd_name not in VERBS:
            return None
        command = typer.main.get_command(importlib.import_module(VERBS[cmd_name]).app)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=VerbGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Streams records in, checks, compares, seals and stores them, and shows them as of any time.",
    epilog="Begin with `intelgraph serve` and, in another terminal, `intelgraph ingest --help`."
    " The options above may also stand behind the verb.",
)


@app.callback()
def shared(
    context: typer.Context,
    server: Annotated[
        str, typer.Option(envvar="INTELGRAPH_SERVER", help="Address of the gateway.")
    ] = "127.0.0.1:7443",
    token: Annotated[
        str | None,
        typer.Option(
            envvar="INTELGRAPH_TOKEN",
            help="Access token. Without one, a token is minted with the key in the data directory.",
        ),
    ] = None,
    tenant: Annotated[
        str, typer.Option(envvar="INTELGRAPH_TENANT", help="Tenant that a minted token is for.")
    ] = "local",
    subject: Annotated[
        str | None,
        typer.Option(
            "--as",
            envvar="INTELGRAPH_SUBJECT",
            help="Who a minted token says that you are. By default the name of your account.",
            show_default=False,
        ),
    ] = None,
    data_dir: Annotated[
        Path, typer.Option(envvar="INTELGRAPH_DATA_DIR", help="Data directory of the gateway on this host.")
    ] = Path("intelgraph-data"),
    ca: Annotated[
        Path | None,
        typer.Option(envvar="INTELGRAPH_CA", help="CA of the gateway's certificate; turns TLS on."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(envvar="INTELGRAPH_CERTIFICATE", help="Client certificate (mTLS).")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(envvar="INTELGRAPH_KEY", help="Key of the client certificate.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Shared by all verbs."""
    if context.invoked_subcommand not in _READ_ALL_SETTINGS:
        gateway = LocalGateway.configured()
        if _is_default(context, "server"):
            server = gateway.address(default=server)
        if _is_default(context, "data_dir"):
            data_dir = gateway.data_dir or data_dir
    context.obj = Invocation(
        server=server,
        token=token,
        tenant=tenant,
        subject=subject or account_name(),
        data_dir=data_dir,
        ca=ca,
        certificate=certificate,
        key=key,
        json=as_json,
    )


def _is_default(context: typer.Context, option: str) -> bool:
    source = context.get_parameter_source(option)
    return source is not None and source.name == "DEFAULT"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    try:
        # Only for people does Typer print what is wrong with the usage, and end the process.
        sys.exit(app(hoist_shared_options(given), standalone_mode=not as_json))
    except Exception as error:
        # Imported only now: it brings gRPC along, and --help does not need that.
        from intelgraph.errors import IntelGraphError, InvalidArgument

        if isinstance(error, TyperException):
            error = InvalidArgument("BAD_USAGE", error.format_message(), fix="see the verb's --help")
        if not isinstance(error, IntelGraphError):
            raise
        print_refusal(error, as_json=as_json)
        sys.exit(exit_code_of(error))


def hoist_shared_options(arguments: Sequence[str]) -> list[str]:
    """Moves the options that all verbs share before the verb, so that they may stand anywhere before `--`."""
    shared_part: list[str] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":
            rest += [argument, *remaining]
        elif argument in _SHARED_FLAGS or argument.partition("=")[0] in _SHARED_WITH_VALUE:
            shared_part.append(argument)
            if argument in _SHARED_WITH_VALUE:
                shared_part += [value for value in (next(remaining, None),) if value is not None]
        else:
            rest.append(argument)
    return shared_part + rest
