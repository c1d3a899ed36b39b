"""A gateway that serves in the test's own process, where what it counts and runs can be seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from intelgraph.client import AsyncClient, RetryPolicy
from intelgraph.gateway.lifecycle import Listening, StopRequests
from intelgraph.gateway.local_identity import LocalIssuer
from intelgraph.gateway.process import run
from intelgraph.gateway.settings import load_settings
from intelgraph.storage.embedded import EmbeddedServer
from tests.faults.gateway import ROLES, TENANT
from tests.faults.load import CONTRACT


@dataclass(frozen=True)
class InProcess:
    """The gateway, and who may do everything with it."""

    address: str
    token: str
    server: EmbeddedServer

    def client(self) -> AsyncClient:
        """A client that outlasts every fault."""
        return AsyncClient(self.address, token=self.token, retry=RetryPolicy(90.0, 0.3))


@asynccontextmanager
async def in_process(data_dir: Path, *, relay: Path | None = None) -> AsyncIterator[InProcess]:
    """Serves on a PostgreSQL of its own in `data_dir`, with the contract of the load. The writer takes the socket
    in `relay`, if that is given.
    """
    with EmbeddedServer(data_dir) as server:
        settings = load_settings(
            {"data_dir": data_dir, "grpc": {"port": 0}, "http": {"port": 0}, "storage": {}}
        )
        storage = server.addresses(settings.storage)
        if relay is not None:
            dsn = SecretStr(f"postgresql://intelgraph_writer@/intelgraph?host={relay}")
            storage = storage.model_copy(update={"writer_dsn": dsn})
        settings = settings.model_copy(update={"storage": storage})
        stop, listening = StopRequests(), asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(run(settings, listening.set_result, stop))
        try:
            await asyncio.wait({serving, listening}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
            served: Listening = listening.result()
            token = LocalIssuer.open(data_dir).mint(TENANT, ROLES, subject="test", audience="intelgraph")
            gateway = InProcess(f"127.0.0.1:{served.grpc_port}", token, server)
            async with gateway.client() as client:
                await client.contracts.put(CONTRACT)
            yield gateway
        finally:
            stop.request()
            await serving
