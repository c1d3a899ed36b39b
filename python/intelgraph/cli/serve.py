"""`intelgraph serve`: runs the gateway."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from intelgraph.cli.gateway_settings import EXIT_CONFIGURATION, ConfigFile, exit_on_wrong_settings, load
from intelgraph.cli.invocation import Invocation, invocation
from intelgraph.cli.refusal import print_refusal

if TYPE_CHECKING:
    from intelgraph.gateway.lifecycle import Listening
    from intelgraph.gateway.settings import Settings

app = typer.Typer()


@app.command()
def serve(
    context: typer.Context,
    config: ConfigFile = None,
    host: Annotated[str | None, typer.Option(help="Address of the gRPC listener.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the gRPC listener; 0 takes a free one.")] = None,
    http_host: Annotated[str | None, typer.Option(help="Address of metrics and health.")] = None,
    http_port: Annotated[int | None, typer.Option(help="Port of metrics and health.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that share the ports.")] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="The gateway's certificate, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="CA of the certificates that clients must show, PEM.")
    ] = None,
    tls_trust_domain: Annotated[
        str | None, typer.Option(help="SPIFFE trust domain of the client certificates.")
    ] = None,
    auth_jwks: Annotated[
        str | None, typer.Option(help="JSON Web Key Set of the token issuer: a file or URL.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Run the gateway. With no options at all: on loopback, with a PostgreSQL of its own.

    Every setting can also be set in a file or by a variable: see `intelgraph config check`.
    """
    from intelgraph.errors import FailedPrecondition
    from intelgraph.gateway.launch import serve as serve_gateway

    call = invocation(context)
    flags = {
        "grpc.host": host,
        "grpc.port": port,
        "http.host": http_host,
        "http.port": http_port,
        "workers": workers,
        "tls.certificate": tls_certificate,
        "tls.key": tls_key,
        "tls.client_ca": tls_client_ca,
        "tls.trust_domain": tls_trust_domain,
        "auth.jwks": auth_jwks,
        "log_level": log_level,
    }
    with exit_on_wrong_settings(call):
        settings = load(context, call, config, flags)
        try:
            serve_gateway(settings, lambda listening: _announce(call, settings, listening))
        except FailedPrecondition as error:
            # What the settings name cannot be used as it is, for example the database or the data directory.
            print_refusal(error, as_json=call.json)
            raise typer.Exit(EXIT_CONFIGURATION) from error


def _announce(call: Invocation, settings: "Settings", listening: "Listening") -> None:
    grpc, http = f"{settings.grpc.host}:{listening.grpc_port}", f"{settings.http.host}:{listening.http_port}"
    facts = {
        "grpc": grpc,
        "http": http,
        "grpc_port": listening.grpc_port,
        "http_port": listening.http_port,
        "pid": os.getpid(),
        "data_dir": str(settings.data_dir.absolute()),
    }
    if call.json:
        call.show(facts, lambda: "")
        return
    Console(highlight=False).print(
        f"[bold green]serving[/] gRPC on [bold]{grpc}[/], metrics and health on http://{http}\n"
        f"data in {settings.data_dir.absolute()}; Ctrl-C drains and stops\n"
        "next, in another terminal: [bold]intelgraph contract put[/], [bold]intelgraph ingest[/]"
    )
