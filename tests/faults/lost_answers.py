"""Stands between the gateway and PostgreSQL, and loses the answer to a COMMIT: every so-manieth, or that of the next
batch, and everything after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

_SOCKET: Final = ".s.PGSQL.5432"
_COMMIT: Final = b"COMMIT;\x00"
_CHANGES: Final = b"entity_change_log"
"""Named by what writes a batch, and by nothing else that commits: sequencer, tokens and anchors commit too."""


class LostAnswers:
    """A relay of Unix sockets. PostgreSQL takes it for the gateway: it runs under the same account."""

    def __init__(self, server: Path, every: int | None) -> None:
        self._server = server / _SOCKET
        self._every = every
        self._commits = 0
        self._connections: set[asyncio.Task[None]] = set()
        self._next_reaches: bool | None = None
        self._away = False
        self.lost = 0
        """Commits that were not answered."""

    def leave_at_next_batch(self, *, reaching: bool) -> None:
        """From the COMMIT of the next batch on, which reaches the server or not, nobody is served until `come_back`."""
        self._next_reaches = reaching

    def lose_every(self, number: int) -> None:
        """From now on, every so-manieth COMMIT is not answered."""
        self._every = number

    def come_back(self) -> None:
        """Serves again."""
        self._away = False

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection of the gateway."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        if self._away:
            writer.transport.abort()
            return
        server_reader, server_writer = await asyncio.open_unix_connection(self._server)
        answering = asyncio.create_task(_pass_on(server_reader, writer))
        try:
            await self._relay(reader, server_reader, server_writer, answering)
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
            writer.transport.abort()
            server_writer.transport.abort()

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
        answering: asyncio.Task[None],
    ) -> None:
        of_batch = False
        # asyncio takes a handler that ends cancelled for an error.
        with suppress(OSError, asyncio.CancelledError):
            while data := await reader.read(1 << 16):
                of_batch |= _CHANGES in data
                if data.endswith(_COMMIT) and (reaches := self._strikes(of_batch=of_batch)) is not None:
                    answering.cancel()
                    await asyncio.gather(answering, return_exceptions=True)
                    if reaches:
                        server_writer.write(data)
                        await server_reader.read(1 << 16)
                    self.lost += 1
                    return
                of_batch &= not data.endswith(_COMMIT)
                server_writer.write(data)
                await server_writer.drain()

    def _strikes(self, *, of_batch: bool) -> bool | None:
        """Whether the commit that is due reaches the server; None if nothing befalls it."""
        self._commits += 1
        if self._every is not None:
            return True if self._commits % self._every == 0 else None
        if not of_batch:
            return None
        reaches, self._next_reaches = self._next_reaches, None
        if reaches is not None:
            self._away = True
            for connection in self._connections - {asyncio.current_task()}:
                connection.cancel()
        return reaches

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
async def losing_answers(
    server: Path, directory: Path, every: int | None = None
) -> AsyncIterator[LostAnswers]:
    """A relay in `directory` to the server whose socket is in `server`. Without `every`, it is told when to leave."""
    relay = LostAnswers(server, every)
    listener = await asyncio.start_unix_server(relay.accept, directory / _SOCKET)
    try:
        yield relay
    finally:
        listener.close()
        await relay.finish()
        await listener.wait_closed()
