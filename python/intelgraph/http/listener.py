"""uvicorn inside the gateway's own event loop."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import uvicorn
from starlette.types import ASGIApp

logging.getLogger("uvicorn").setLevel(logging.WARNING)  # the gateway itself says when it serves and drains


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to the gateway, which drains first."""
        yield


class HttpListener:
    """Serves `app` on `bound` from `start` to `stop`."""

    def __init__(self, app: ASGIApp, bound: socket.socket, tls: ssl.SSLContext | None) -> None:
        self._bound = bound
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=5,
            ssl_context_factory=None if tls is None else lambda _config, _default: tls,
        )
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._bound.getsockname()[1])

    async def start(self) -> Self:
        """Returns when requests are answered."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._bound]))
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
                raise RuntimeError("the HTTP listener ended while it started")
            await asyncio.sleep(0.001)
        return self

    async def stop(self) -> None:
        """Lets the requests that run end, then closes."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
