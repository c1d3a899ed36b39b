"""What every verb is called with: where the gateway is, who asks, and how the answer is to look."""

import getpass
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
from rich.console import Console, Group, RenderableType

if TYPE_CHECKING:
    from intelgraph.client import AsyncClient, Client, Tls, TokenProvider

_AUDIENCE: Final = "intelgraph"


@dataclass(frozen=True, slots=True)
class Invocation:
    """The options that may stand before or behind any verb."""

    server: str
    token: str | None
    tenant: str
    subject: str
    data_dir: Path
    ca: Path | None
    certificate: Path | None
    key: Path | None
    json: bool

    def client(self, *roles: str) -> "Client":
        """A client that may do what `roles` may."""
        from intelgraph.client import Client

        return Client(self.server, token=self._credentials(roles), tls=self._tls())

    def async_client(self, *roles: str) -> "AsyncClient":
        """As `client`, for asyncio."""
        from intelgraph.client import AsyncClient

        return AsyncClient(self.server, token=self._credentials(roles), tls=self._tls())

    def show(self, data: object, human: Callable[[], RenderableType]) -> None:
        """Prints the answer: `data` as one JSON document with --json, else what `human` returns."""
        if self.json:
            typer.echo(json.dumps(data, ensure_ascii=False))
        else:
            # What is wider than the terminal is not cut off. In a group, since a text alone would be laid out anew.
            Console().print(Group(human()), crop=False)

    def _credentials(self, roles: tuple[str, ...]) -> "str | TokenProvider | None":
        """The token that was given, or one minted with the data directory's key for exactly these roles."""
        if self.token is not None or self.certificate is not None:
            return self.token
        from intelgraph.gateway.local_identity import LocalIssuer

        try:
            issuer = LocalIssuer.open(self.data_dir)
        except OSError as error:
            raise typer.BadParameter(
                "no access token: give --token or INTELGRAPH_TOKEN, or name with --data-dir the data"
                f" directory of a gateway on this host ({self.data_dir}: {error.strerror or error})"
            ) from error
        return lambda: issuer.mint(self.tenant, roles, subject=self.subject, audience=_AUDIENCE)

    def _tls(self) -> "Tls | None":
        from intelgraph.client import Tls

        for option, file in (("--ca", self.ca), ("--certificate", self.certificate), ("--key", self.key)):
            if file is not None:
                _require_readable(option, file)
        if (self.certificate is None) != (self.key is None):
            raise typer.BadParameter("--certificate and --key go together: a client proves itself with both")
        if self.ca is None and self.certificate is None:
            return None
        return Tls(ca=self.ca, certificate=self.certificate, key=self.key)


def account_name() -> str:
    """Name of the account that runs the command line: two people on one host are two persons."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in a container
        return "cli"


def _require_readable(option: str, file: Path) -> None:
    try:
        with file.open("rb"):
            return
    except OSError as error:
        raise typer.BadParameter(
            f"{option} {file}: {error.strerror or error}; name a readable PEM file"
        ) from error


def invocation(context: typer.Context) -> Invocation:
    """The options given with the verb that runs."""
    found: Any = context.find_root().obj
    if not isinstance(found, Invocation):
        raise TypeError("a verb runs below the app, which makes the invocation")
    return found
