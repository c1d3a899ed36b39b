"""The gateway's connections: a pool of the writer, a pool of the reader, and nothing else.

    database = await Database.connect(settings)
    async with database.read(tenant_id) as connection: ...   # sees this tenant, and cannot write
    async with database.write() as connection: ...           # one transaction

A connection that PostgreSQL dropped is replaced when the next caller asks for one. That is tried for a
moment, so that a restart of the server is a pause; then the caller gets Unavailable, and when to try again.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import asyncpg
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from intelgraph.errors import Unavailable
from intelgraph.storage.connection import Connection, reachable, shown_address
from intelgraph.storage.faults import is_transient, storage_fault
from intelgraph.storage.migrate import migrate
from intelgraph.storage.roles import assert_reader, assert_writer

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy
    from pydantic import SecretStr

    from intelgraph.storage.settings import StorageSettings

    Pool = asyncpg.Pool[asyncpg.Record]

PATIENCE_SECONDS = 3.0
"""How long a caller waits for a server that is restarting, or for a connection that is in use."""

_SESSION = {
    "timezone": "UTC",
    # Every query walks an index. A young table has no statistics and looks empty, and a prepared plan is kept
    # while the table grows: so none may read a table through, and none is planned anew for its parameters.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "plan_cache_mode": "force_generic_plan",
    # A gateway that is cut off while it holds a tenant's clock must not stop that tenant for good.
    "idle_in_transaction_session_timeout": "30s",
    "lock_timeout": "30s",
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
}


class Database:
    """The pools of one process. Made by `connect`."""

    def __init__(self, writer: "Pool", reader: "Pool", writer_dsn: str) -> None:
        self.writer = writer
        self.reader = reader
        self._writer_dsn = writer_dsn
        self._volume = _volume(writer_dsn)

    @classmethod
    async def connect(cls, settings: "StorageSettings") -> Self:
        """Migrates, opens both pools and checks both roles.

        Raises FailedPrecondition DATABASE_ROLES_MISSING, MIGRATION_CHANGED, MIGRATION_UNKNOWN,
        DATABASE_ROLE_UNSAFE or POSTGRES_TOO_OLD, and Unavailable STORAGE_UNAVAILABLE.
        """
        owner = _revealed(settings.owner_dsn)
        writer = _revealed(settings.writer_dsn)
        reader = _revealed(settings.reader_dsn)
        with _start_faults("owner", owner):
            async for attempt in _attempts():
                with attempt:
                    await migrate(owner)
        with _start_faults("writer", writer):
            writers = await _pool(writer, "writer", settings.writer_connections, assert_writer)
        try:
            with _start_faults("reader", reader):
                readers = await _pool(reader, "reader", settings.reader_connections, assert_reader)
        except BaseException:
            writers.terminate()
            raise
        return cls(writers, readers, writer)

    async def close(self) -> None:
        """Waits for what is under way, then closes every connection."""
        await self.writer.close()
        await self.reader.close()

    @asynccontextmanager
    async def read(self, tenant_id: UUID) -> AsyncIterator[Connection]:
        """A connection of the reader in one read-only snapshot that sees `tenant_id` and no other tenant.

        Raises Unavailable STORAGE_UNAVAILABLE or STORAGE_BUSY.
        """
        async with self._acquired(self.reader) as connection:
            # One round trip for both. The setting ends with the transaction; a UUID needs no quoting.
            await connection.execute(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
                f"SET LOCAL intelgraph.tenant = '{UUID(int=tenant_id.int)}'"
            )
            try:
                yield connection
            finally:
                if not connection.is_closed():
                    await connection.execute("ROLLBACK")

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Connection]:
        """A connection of the writer in a transaction that commits when the block ends.

        Raises Unavailable STORAGE_UNAVAILABLE or STORAGE_BUSY, ResourceExhausted DISK_FULL, Aborted
        STORAGE_CONFLICT. After STORAGE_UNAVAILABLE the transaction may have committed.
        """
        async with self._acquired(self.writer) as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def listener(self, channel: str, wake: Callable[[], None]) -> AsyncIterator[Connection]:
        """A connection of the writer by itself; `wake` is called for each notification, and when it breaks.

        Raises Unavailable STORAGE_UNAVAILABLE, from the block too.
        """
        with self._faults():
            connection = await asyncpg.connect(
                reachable(self._writer_dsn), timeout=PATIENCE_SECONDS, command_timeout=PATIENCE_SECONDS
            )
            try:
                connection.add_termination_listener(lambda _: wake())
                await connection.add_listener(channel, lambda *_: wake())
                yield connection
            finally:
                connection.terminate()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[Connection]:
        """A connection of the writer by itself, for locks that end with it.

        Raises Unavailable STORAGE_UNAVAILABLE, from the block too, and as `write` does.
        """
        with self._faults():
            connection = await asyncpg.connect(
                reachable(self._writer_dsn),
                timeout=PATIENCE_SECONDS,
                command_timeout=60,
                server_settings={
                    **_SESSION,
                    "application_name": "intelgraph-sequencer",
                    # A round moves some 12 MB of sealed entries: in memory, and not by way of temporary files.
                    "work_mem": "64MB",
                    # Of one that is frozen, and would keep its locks for good.
                    "idle_session_timeout": "60s",
                },
            )
            try:
                yield connection
            finally:
                connection.terminate()

    @asynccontextmanager
    async def _acquired(self, pool: "Pool") -> AsyncIterator[Connection]:
        with self._faults():
            connection = await self._acquire(pool)
            try:
                yield connection
            finally:
                await pool.release(connection)

    async def _acquire(self, pool: "Pool") -> "PoolConnectionProxy[asyncpg.Record]":
        try:
            return await pool.acquire(timeout=PATIENCE_SECONDS)
        except Exception as error:
            if not is_transient(error):
                raise
        async for attempt in _attempts():
            with attempt:
                return await pool.acquire(timeout=PATIENCE_SECONDS)
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            fault = storage_fault(_first(error), volume=self._volume)
            if fault is None:
                raise
            raise fault from error


@contextmanager
def _start_faults(role: str, dsn: str) -> Iterator[None]:
    """As `_faults`, for whoever starts the gateway: says where a server that is away was looked for."""
    try:
        yield
    except Exception as error:
        fault = storage_fault(error, volume=_volume(dsn))
        if fault is None:
            raise
        if fault.reason != "STORAGE_UNAVAILABLE":
            raise fault from error
        raise Unavailable(
            "STORAGE_UNAVAILABLE",
            f"PostgreSQL cannot be reached at {shown_address(dsn)} ({type(error).__name__})",
            fix=f"see whether it runs there and accepts connections; storage.{role}_dsn, if set, says where it is",
            retry_after=fault.retry_after,
        ) from error


def _first(error: Exception) -> Exception:
    """What broke a connection, where giving that connection back has failed in its turn."""
    while isinstance(error, asyncpg.InterfaceError) and isinstance(error.__context__, Exception):
        error = error.__context__
    return error


def _attempts() -> AsyncRetrying:
    """Nothing was asked of the server yet, so trying again is always right."""
    return AsyncRetrying(
        retry=retry_if_exception(is_transient),
        wait=wait_random_exponential(multiplier=0.02, max=0.5),
        stop=stop_after_delay(PATIENCE_SECONDS),
        reraise=True,
    )


async def _pool(
    dsn: str, role: str, connections: int, assert_role: Callable[[Connection], Coroutine[Any, Any, None]]
) -> "Pool":
    return await asyncpg.create_pool(
        reachable(dsn),
        # One connection shows at start whether the role is right; a server that is away is asked for no floor.
        min_size=0,
        init_size=1,
        max_size=connections,
        timeout=PATIENCE_SECONDS,
        command_timeout=60,
        init=assert_role,
        # Transactions end where they began and settings are local to them, so there is nothing to reset;
        # asyncpg's own reset would be a round trip after every use.
        reset=_nothing,
        server_settings={**_SESSION, "application_name": f"intelgraph-{role}"},
    )


async def _nothing(_: Connection) -> None:
    pass


def _revealed(dsn: "SecretStr | None") -> str:
    if dsn is None:
        raise ValueError("start the embedded server and take its addresses first")
    return dsn.get_secret_value()


def _volume(dsn: str) -> Path | None:
    """The directory of a local server's socket: the embedded one keeps its data there."""
    host = parse_qs(urlsplit(dsn).query).get("host", [""])[0]
    return Path(host) if host.startswith("/") else None
