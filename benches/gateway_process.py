"""The gateway under test: `intelgraph serve` on a data directory of its own, and the tenants that it serves."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import orjson

from benches.client import Metadata
from benches.postgres import Postgres
from benches.records import contract_document
from benches.server_process import stop
from intelgraph.client import AsyncClient
from intelgraph.gateway.local_identity import LocalIssuer

PLATFORM_TENANT: Final = "local"
_ROLES: Final = ("connector", "operator")
_DATABASE: Final = "intelgraph"
_ROOT: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that answers: its address, its process, its data."""

    target: str
    pid: int
    data_dir: Path

    @property
    def postgres(self) -> Postgres:
        """Its embedded PostgreSQL."""
        cluster = self.data_dir / "postgres"
        pid = int((cluster / "postmaster.pid").read_text(encoding="ascii").splitlines()[0])
        return Postgres(cluster, pid, _DATABASE)

    def token(self, tenant: str) -> str:
        """An access token for an hour, minted with the data directory's key."""
        issuer = LocalIssuer.open(self.data_dir)
        return issuer.mint(tenant, _ROLES, subject="bench", audience="intelgraph")

    def metadata_of(self, tenant: str) -> Metadata:
        """Says who calls."""
        return (("authorization", f"Bearer {self.token(tenant)}"),)

    async def admit(self, tenants: Sequence[str]) -> dict[str, UUID]:
        """Creates tenants, publishes the contract of the records for each, and gives their identifiers."""
        admitted: dict[str, UUID] = {}
        async with AsyncClient(self.target, token=self.token(PLATFORM_TENANT)) as client:
            for tenant in tenants:
                admitted[tenant] = (await client.tenants.create(tenant)).tenant_id
        for tenant in tenants:
            await self.publish_contract(tenant)
        return admitted

    async def publish_contract(self, tenant: str) -> None:
        """Publishes the contract of the records for a tenant that exists."""
        async with AsyncClient(self.target, token=self.token(tenant)) as client:
            await client.contracts.put(orjson.dumps(contract_document(tenant)))


@contextlib.contextmanager
def serve_gateway(
    *, workers: int = 1, settings: Mapping[str, str] | None = None, module: str = "intelgraph"
) -> Iterator[Gateway]:
    """Runs `intelgraph serve` on an empty directory; stops it and removes the directory at the end.

    `settings` are variables without their prefix, for example `INGEST__HEADS_CACHE_BYTES`; `module` is the program.

    Raises:
        RuntimeError: if the gateway ends before it serves.
    """
    directory = Path(tempfile.mkdtemp(prefix="intelgraph-bench-"))
    log = directory / "gateway.log"
    data_dir = directory / "data"
    command = [sys.executable, "-m", module, "--json", "--data-dir", str(data_dir), "serve"]
    command += ["--port", "0", "--http-port", "0", "--workers", str(workers), "--log-level", "warning"]
    try:
        with (
            log.open("wb") as errors,
            subprocess.Popen(
                command,
                cwd=directory,
                env=_environment(settings or {}),
                stdout=subprocess.PIPE,
                stderr=errors,
            ) as process,
        ):
            try:
                yield Gateway(_announced(process, log), process.pid, data_dir)
            finally:
                stop(process)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Ours, without what would configure the gateway, and with `settings`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("INTELGRAPH_")}
    inherited["PYTHONPATH"] = str(_ROOT)  # it runs elsewhere, and may be a module of the benchmarks
    return inherited | {f"INTELGRAPH_{name}": value for name, value in settings.items()}


def _announced(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address of the gRPC listener, which the gateway prints once it answers calls."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"the gateway ended before it served:\n{log.read_text()[-2000:]}")
    return str(json.loads(line)["grpc"])
