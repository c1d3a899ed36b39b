"""A serving process from its start to its end. The first stop request drains, the second stops at once."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from intelgraph.gateway import logs
from intelgraph.gateway.assembly import assembled
from intelgraph.gateway.lifecycle import Listening, StopRequests
from intelgraph.gateway.server import GatewayServer
from intelgraph.gateway.settings import Settings


async def run(
    settings: Settings,
    listening: Callable[[Listening], None],
    stop: StopRequests,
    *,
    shared_ports: bool = False,
) -> None:
    """Serves until it is asked to stop; calls `listening` once calls are answered.

    Raises ConfigurationError, and IntelGraphError for a part that cannot be used.
    """
    logs.log_loop_exceptions(asyncio.get_running_loop())
    async with assembled(settings) as parts:
        server = GatewayServer(settings, parts, shared_ports=shared_ports)
        try:
            await server.start()
            listening(Listening(server.grpc_port, server.http_port))
            await stop.wait()
            await _first_of(server.drain(), stop.wait())
        finally:
            await server.stop()


async def _first_of(*alternatives: Coroutine[Any, Any, None]) -> None:
    """Runs them until one is done, and cancels the others."""
    tasks = [asyncio.create_task(alternative) for alternative in alternatives]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
