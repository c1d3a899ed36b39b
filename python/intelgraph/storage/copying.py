"""Binary COPY of rows into a table, which ends when its connection does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import asyncpg

from intelgraph.storage.connection import Connection


async def copy_rows(
    connection: Connection, table: str, columns: Sequence[str], chunks: Sequence[bytes]
) -> None:
    """Copies `chunks`, which together are one COPY stream in binary format.

    Raises what asyncpg raises, and ConnectionDoesNotExistError when the connection is lost on the way. asyncpg alone
    would wait for ever then: it waits for the socket to take more, without a limit, and is not woken when it breaks.
    """
    copying = asyncio.ensure_future(
        connection.copy_to_table(table, source=_each(chunks), columns=columns, format="binary")
    )
    lost = asyncio.Event()

    def on_lost(_: object) -> None:
        lost.set()
        copying.cancel()

    connection.add_termination_listener(on_lost)
    try:
        await copying
    except (Exception, asyncio.CancelledError) as error:
        caller = asyncio.current_task()
        if lost.is_set() and not (caller is not None and caller.cancelling()):
            raise asyncpg.ConnectionDoesNotExistError("the connection was lost during COPY") from error
        raise
    finally:
        # A pool takes a connection back as soon as it is lost, and then it has no listeners to be removed.
        with contextlib.suppress(asyncpg.InterfaceError):
            connection.remove_termination_listener(on_lost)


async def _each(chunks: Sequence[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
