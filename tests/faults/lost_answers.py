"""Stands between the gateway and PostgreSQL, and loses the answer to every so-manieth COMMIT."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

_SOCKET: Final = ".s.PGSQL.5432"
_COMMIT: Final = b"COMMIT;\x00"


class LostAnswers:
    """A relay of Unix sockets. PostgreSQL takes it for the gateway: it runs under the same account."""

    def __init__(self, server: Path, every: int) -> None:
        self._server = server / _SOCKET
        self._every = every
        self._commits = 0
        self._connections: set[asyncio.Task[None]] = set()
        self.lost = 0
        """Commits that happened and were not answered."""

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection of the gateway."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        server_reader, server_writer = await asyncio.open_unix_connection(self._server)
        answering = asyncio.create_task(_pass_on(server_reader, writer))
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                if data.endswith(_COMMIT):
                    self._commits += 1
                    if self._commits % self._every == 0:
                        answering.cancel()
                        await asyncio.gather(answering, return_exceptions=True)
                        server_writer.write(data)
                        await server_reader.read(1 << 16)
                        self.lost += 1
                        break
                server_writer.write(data)
                await server_writer.drain()
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        writer.transport.abort()
        server_writer.transport.abort()

    async def finish(self) -> None:
        """Ends what is still connected."""
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@asynccontextmanager
async def losing_answers(server: Path, directory: Path, every: int) -> AsyncIterator[LostAnswers]:
    """A relay in `directory` to the server whose socket is in `server`."""
    relay = LostAnswers(server, every)
    listener = await asyncio.start_unix_server(relay.accept, directory / _SOCKET)
    try:
        yield relay
    finally:
        listener.close()
        await relay.finish()
        await listener.wait_closed()
