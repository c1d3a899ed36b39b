"""`intelgraph serve` as a process of its own, with a PostgreSQL of its own or one that stands apart."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from intelgraph.client import AsyncClient, RetryPolicy, TokenProvider
from intelgraph.gateway.local_identity import LocalIssuer
from intelgraph.storage.embedded import EmbeddedServer

TENANT: Final = "local"
ROLES: Final = ("connector", "service", "analyst", "auditor", "operator")


class GatewayProcess:
    """A gateway that keeps its port over restarts. Gateways that share a `server` share keys and issuer too."""

    def __init__(
        self, data_dir: Path, *, server: EmbeddedServer | None = None, settings: dict[str, str] | None = None
    ) -> None:
        """`settings` are set by environment, without the prefix."""
        self.data_dir = data_dir
        self.port = _free_port()
        self.http_port = _free_port()
        self.log = data_dir.parent / f"gateway-{self.port}.log"
        self.settings = dict(settings or {})
        if server is not None:
            for role in ("owner", "writer", "reader"):
                self.settings[f"STORAGE__{role.upper()}_DSN"] = server.dsn(f"intelgraph_{role}")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it serves."""
        return f"127.0.0.1:{self.port}"

    @property
    def postgres_pid(self) -> int:
        """The process of the PostgreSQL in its data directory."""
        return int((self.data_dir / "postgres/postmaster.pid").read_text().split("\n", 1)[0])

    @property
    def superuser_dsn(self) -> str:
        """How a database administrator connects."""
        return EmbeddedServer(self.data_dir).dsn("postgres")

    def start(self) -> None:
        """Starts it and returns once it answers."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("INTELGRAPH_")}
        environment |= {f"INTELGRAPH_{name}": value for name, value in self.settings.items()}
        command = [sys.executable, "-m", "intelgraph", "--json", "--data-dir", str(self.data_dir), "serve"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port), "--http-port", str(self.http_port)],
                cwd=self.data_dir.parent,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        try:
            assert self._process.stdout.readline(), self.log.read_text()[-2000:]
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """Ends it as `kill -9` does."""
        assert self._process is not None
        self._process.kill()
        self._reap()

    def end(self) -> None:
        """Drains and ends it, if it runs."""
        if self._process is not None:
            self._process.terminate()
            self._reap()

    def token(self, *roles: str, tenant: str = TENANT, lifetime: float = 3600.0) -> TokenProvider:
        """Mints tokens for the roles, by default for all."""
        issuer = LocalIssuer.open(self.data_dir)
        return lambda: issuer.mint(
            tenant, roles or ROLES, subject="test", audience="intelgraph", lifetime=lifetime
        )

    def client(self) -> AsyncClient:
        """A client that outlasts every fault."""
        return AsyncClient(self.address, token=self.token(), retry=RetryPolicy(90.0, 0.3))

    def _reap(self) -> None:
        process, self._process = self._process, None
        assert process is not None
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def postgres_apart(data_dir: Path) -> Iterator[EmbeddedServer]:
    """A PostgreSQL that outlives the gateways, with the database of `data_dir`."""
    with EmbeddedServer(data_dir) as server:
        yield server


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
