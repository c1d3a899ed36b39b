"""How a baseline serves the ingest stream: one process, grpc.aio on uvloop, a free loopback port."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import grpc.aio
import uvloop

from benches.wire import CHANNEL_OPTIONS

SERVICE = "intelgraph.gateway.v1.IngestService"
TENANT_METADATA_KEY = "x-tenant"
"""Baselines take the tenant's name from the call and authenticate nobody, which only favours them."""

CREDIT_BYTES = 64 * 1024 * 1024
"""Credit that a baseline grants at the opening and again with each reply, so that it never runs out."""

Context = grpc.aio.ServicerContext[bytes, bytes]


class StreamHandler(Protocol):
    """Serves one stream: raw `StreamRequest` in, raw `StreamResponse` out."""

    def __call__(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        """Yields one reply per request."""


def tenant_of(context: Context) -> str:
    """The name of the tenant that the call's metadata gives.

    Raises:
        KeyError: if it gives none.
    """
    metadata = dict(context.invocation_metadata() or ())
    return str(metadata[TENANT_METADATA_KEY])


def run(create_handler: Callable[[], Awaitable[StreamHandler]]) -> None:
    """Serves until SIGTERM, after printing the port."""
    uvloop.run(_serve(create_handler))


async def _serve(create_handler: Callable[[], Awaitable[StreamHandler]]) -> None:
    stream: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(
        await create_handler()
    )
    server = grpc.aio.server(options=CHANNEL_OPTIONS)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Stream": stream}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    print(port, flush=True)
    await stopped.wait()
    await server.stop(grace=None)
