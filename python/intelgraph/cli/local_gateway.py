"""Where the gateway of this host is, as its own settings say: what client verbs go by unless they are told.

Only three settings are read, without the rest of them: a verb that calls a gateway need not be able to start one,
and imports none of it.
"""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import typer

_DEFAULT_FILE: Final = Path("intelgraph.toml")
_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (compared with, not listened on)


@dataclass(frozen=True, slots=True)
class LocalGateway:
    """Host and port of its gRPC listener, and its data directory; None where nothing sets them."""

    host: str | None
    port: str | None
    data_dir: Path | None

    @classmethod
    def configured(cls) -> Self:
        """By the variables, else by the file that INTELGRAPH_CONFIG names or `./intelgraph.toml`.

        Raises typer.BadParameter for a file that cannot be read.
        """
        named = os.environ.get("INTELGRAPH_CONFIG")
        settings = _read(Path(named) if named else _DEFAULT_FILE) if named or _DEFAULT_FILE.exists() else {}
        grpc = settings.get("grpc")
        grpc = grpc if isinstance(grpc, dict) else {}
        data_dir = settings.get("data_dir")
        return cls(
            host=_text(os.environ.get("INTELGRAPH_GRPC__HOST") or grpc.get("host")),
            port=_text(os.environ.get("INTELGRAPH_GRPC__PORT") or grpc.get("port")),
            data_dir=Path(data_dir) if isinstance(data_dir, str) else None,
        )

    def address(self, default: str) -> str:
        """Where to call it; `default` gives the host or port that is not set, or is any free one (0)."""
        default_host, _, default_port = default.rpartition(":")
        host = _EVERY_ADDRESS.get(self.host or default_host, self.host or default_host)
        port = default_port if self.port in {None, "0"} else self.port
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise typer.BadParameter(
            f"the settings in {file} cannot be read ({type(error).__name__}): `intelgraph config check` says what"
            " is wrong"
        ) from error


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) else None
