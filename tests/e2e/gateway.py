"""A real gateway as a process of its own, with PostgreSQL and keyring: killed and started again at will."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

from intelgraph.client import AsyncClient, Client, RetryPolicy, TokenProvider
from intelgraph.gateway.local_identity import LocalIssuer

TENANT: Final = "local"
ALL_ROLES: Final = ("connector", "service", "analyst", "auditor", "operator", "security-officer")

ROOT: Final = Path(__file__).parents[2]
_HERE_DOCUMENT: Final = r"^cat > observations\.json <<'EOF'\n(.*?)^EOF$"


def observations_contract() -> bytes:
    """The contract that docs/contracts.md has its reader paste."""
    guide = (ROOT / "docs" / "contracts.md").read_text()
    (document,) = re.findall(_HERE_DOCUMENT, guide, re.MULTILINE | re.DOTALL)
    return str(document).encode()


OBSERVATIONS: Final = observations_contract()


class GatewayProcess:
    """`intelgraph serve` on a data directory; it keeps its port over restarts."""

    def __init__(self, directory: Path) -> None:
        self.data_dir = directory / "data"
        self._log = directory / "gateway.log"
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.http = ""
        """Where metrics and the log's files are served."""

    @property
    def address(self) -> str:
        """Where it serves."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Starts it and returns once it answers."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("INTELGRAPH_")
        }
        command = [sys.executable, "-m", "intelgraph", "--json", "--data-dir", str(self.data_dir)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "serve", "--port", str(self._port), "--http-port", "0"],
                cwd=self._log.parent,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._log.read_text()[-2000:]
        self.http = str(json.loads(line)["http"])

    def kill(self) -> None:
        """Ends it as `kill -9` does."""
        assert self._process is not None
        self._process.kill()
        self._ended(self._process)

    def stop(self) -> None:
        """Drains and ends it."""
        assert self._process is not None
        self._process.terminate()
        self._ended(self._process)

    def token(self, *roles: str, lifetime: float = 3600.0, subject: str = "test") -> TokenProvider:
        """Mints tokens for the roles, by default for all."""
        issuer = LocalIssuer.open(self.data_dir)

        def mint() -> str:
            return issuer.mint(
                TENANT, roles or ALL_ROLES, subject=subject, audience="intelgraph", lifetime=lifetime
            )

        return mint

    def client(self, *roles: str, address: str | None = None) -> AsyncClient:
        """A client with all roles, or with these."""
        return AsyncClient(address or self.address, token=self.token(*roles), retry=RetryPolicy(60.0, 0.5))

    def blocking_client(self, subject: str = "test") -> Client:
        """The same without an event loop."""
        return Client(self.address, token=self.token(subject=subject))

    def _ended(self, process: subprocess.Popen[bytes]) -> None:
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()
        self._process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
