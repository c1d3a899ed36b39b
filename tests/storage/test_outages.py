"""PostgreSQL restarted, killed, away, full: pools recover, and callers hear what is the matter meanwhile."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from intelgraph.errors import Aborted, IntelGraphError, ResourceExhausted, Unavailable
from intelgraph.storage import database as database_module
from intelgraph.storage.connection import shown_address
from intelgraph.storage.copying import copy_rows
from intelgraph.storage.database import Database
from intelgraph.storage.embedded import EmbeddedServer
from intelgraph.storage.faults import is_transient, storage_fault
from intelgraph.storage.settings import StorageSettings
from tests.parts.disk import small_disk
from tests.parts.postgres import superuser
from tests.storage.naive_log import ENTITIES, NaiveLog, create_tenant, write

TENANT = UUID(int=1)


@pytest.fixture
def server(data_dir: Path) -> Iterator[EmbeddedServer]:
    """A server of this test's own."""
    with EmbeddedServer(data_dir) as started:
        yield started


@pytest_asyncio.fixture
async def pools(server: EmbeddedServer) -> AsyncIterator[Database]:
    """The gateway's pools on it, every connection open, and one tenant."""
    opened = await Database.connect(server.addresses(StorageSettings()))
    async with opened.write() as connection:
        await create_tenant(connection, TENANT)
    for pool in (opened.writer, opened.reader):
        connections = [await pool.acquire() for _ in range(pool.get_max_size())]
        for each in connections:
            await pool.release(each)
    yield opened
    opened.writer.terminate()
    opened.reader.terminate()


async def _read(pools: Database) -> int:
    async with pools.read(TENANT) as connection:
        return int(await connection.fetchval("SELECT count(*) FROM tenant"))


async def _write(pools: Database) -> None:
    async with pools.write() as connection:
        await connection.execute("UPDATE tenant_clock SET seq = seq + 1 WHERE tenant_id = $1", TENANT)


async def test_a_restart_is_a_pause(server: EmbeddedServer, pools: Database) -> None:
    for _ in range(2):
        await asyncio.to_thread(server.stop)
        restarting = asyncio.create_task(asyncio.to_thread(server.start))
        assert await _read(pools) == 1
        await _write(pools)
        await restarting


async def test_a_server_that_is_killed_is_a_pause_too(server: EmbeddedServer, pools: Database) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await asyncio.sleep(0.05)
    assert await _read(pools) == 1
    await _write(pools)


async def test_while_it_is_away_callers_hear_when_to_come_back(
    server: EmbeddedServer, pools: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "PATIENCE_SECONDS", 1.0)
    await asyncio.to_thread(server.stop)
    began = time.monotonic()
    outcomes = await asyncio.gather(_read(pools), _write(pools), _read(pools), return_exceptions=True)
    assert time.monotonic() - began < database_module.PATIENCE_SECONDS + 2
    for outcome in outcomes:
        assert isinstance(outcome, Unavailable)
        assert (outcome.reason, outcome.retry_after) == ("STORAGE_UNAVAILABLE", 1.0)
        assert is_transient(outcome)
    await asyncio.to_thread(server.start)
    assert await _read(pools) == 1


async def test_a_transaction_under_way_fails_and_leaves_nothing(
    server: EmbeddedServer, pools: Database
) -> None:
    async def interrupted() -> None:
        async with pools.write() as connection:
            await connection.execute("UPDATE tenant_clock SET seq = 7")
            await asyncio.to_thread(server.stop)
            await connection.execute("UPDATE tenant_clock SET seq = 8")

    with pytest.raises(Unavailable):
        await interrupted()
    await asyncio.to_thread(server.start)
    async with pools.read(TENANT) as connection:
        assert await connection.fetchval("SELECT seq FROM tenant_clock") == 0


async def test_a_copy_ends_when_its_connection_breaks_while_nothing_more_fits(
    pools: Database,
) -> None:
    async def interrupted() -> None:
        async with pools.write() as connection:
            await connection.execute("CREATE TEMPORARY TABLE filled (value bytea)")
            backend = await connection.fetchval("SELECT pg_backend_pid()")
            os.kill(backend, signal.SIGSTOP)
            copying = asyncio.create_task(copy_rows(connection, "filled", ["value"], [bytes(1 << 20)] * 16))
            await asyncio.sleep(0.2)
            assert not copying.done()
            os.kill(backend, signal.SIGKILL)
            await copying

    async with asyncio.timeout(20):
        with pytest.raises(Unavailable):
            await interrupted()
        # PostgreSQL ends every session when one is killed, and recovers.
        await asyncio.sleep(0.5)
        await _write(pools)


async def test_a_gateway_that_starts_before_its_database_waits_a_moment(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = server.addresses(StorageSettings())
    server.stop()
    restarting = asyncio.create_task(asyncio.to_thread(server.start))
    opened = await Database.connect(settings)
    await restarting
    await opened.close()

    server.stop()
    monkeypatch.setattr(database_module, "PATIENCE_SECONDS", 0.3)
    with pytest.raises(Unavailable) as caught:
        await Database.connect(settings)
    assert caught.value.reason == "STORAGE_UNAVAILABLE"
    assert str(server.cluster) in caught.value.message


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("postgresql://ada:s3cret@db.example:6432/log?sslkey=s3cret", "db.example:6432"),
        ("postgresql://ada:s3c@ret@db.example/log", "db.example:5432"),
        ("postgresql://ada:s3cret@one:1,two/log", "one:1, two:5432"),
        ("postgresql://ada:s3cret@[::1]/log", "[::1]:5432"),
        ("postgresql://ada:s3cret@/log?host=/run/pg&password=s3cret", "the socket in /run/pg"),
        ("postgresql://ada:s3cret@%2Frun%2Fpg/log", "the socket in /run/pg"),
        ("postgresql:///log?host=db.example&port=6432&password=s3cret", "db.example:6432"),
        ("postgresql:///log?user=ada&password=s3cret", "the default address"),
    ],
)
def test_an_address_is_shown_without_its_password(dsn: str, shown: str) -> None:
    assert shown_address(dsn) == shown


async def test_more_callers_than_connections_wait_or_are_told_to_come_back(
    pools: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await asyncio.gather(*(_read(pools) for _ in range(50))) == [1] * 50
    monkeypatch.setattr(database_module, "PATIENCE_SECONDS", 0.3)
    held = [await pools.reader.acquire() for _ in range(pools.reader.get_max_size())]
    with pytest.raises(Unavailable) as caught:
        await _read(pools)
    assert caught.value.retry_after is not None
    for connection in held:
        await pools.reader.release(connection)
    assert await _read(pools) == 1


async def test_a_caller_that_gives_up_leaves_a_clean_connection(pools: Database) -> None:
    async def slow() -> None:
        async with pools.read(TENANT) as connection:
            await connection.execute("SELECT pg_sleep(30)")

    callers = [asyncio.create_task(slow()) for _ in range(pools.reader.get_max_size())]
    await asyncio.sleep(0.3)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    began = time.monotonic()
    assert await asyncio.gather(*(_read(pools) for _ in range(20))) == [1] * 20
    assert time.monotonic() - began < 5
    async with pools.reader.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM tenant") == 0


async def test_of_two_transactions_in_each_others_way_one_is_told_to_try_again(pools: Database) -> None:
    other = UUID(int=2)
    async with pools.write() as connection:
        await create_tenant(connection, other)

    async def lock(first: UUID, second: UUID) -> None:
        async with pools.write() as connection:
            for tenant_id in (first, second):
                await connection.execute(
                    "SELECT FROM tenant_clock WHERE tenant_id = $1 FOR UPDATE", tenant_id
                )
                await asyncio.sleep(0.2)

    outcomes = await asyncio.gather(lock(TENANT, other), lock(other, TENANT), return_exceptions=True)
    (refused,) = [outcome for outcome in outcomes if outcome is not None]
    assert isinstance(refused, Aborted)
    assert is_transient(refused)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small one."""
    with small_disk(tmp_path / "disk") as mounted:
        yield mounted


@pytest.mark.parametrize(
    ("left", "log_is_full"), [(24 << 20, False), (10 << 20, True)], ids=["an error", "a crash"]
)
async def test_a_full_disk_is_said_at_once_and_passes_when_there_is_room(
    disk: Path, left: int, log_is_full: bool
) -> None:
    with EmbeddedServer(disk) as server:
        opened = await Database.connect(server.addresses(StorageSettings()))
        async with opened.write() as connection:
            await create_tenant(connection, TENANT)
        ballast = disk / "ballast"
        free = os.statvfs(disk)
        ballast.write_bytes(bytes(free.f_bavail * free.f_frsize - left))
        if log_is_full:
            # The next record needs a new segment of the write-ahead log, and without one PostgreSQL crashes.
            with contextlib.suppress(asyncpg.PostgresError, OSError):
                await superuser(server, "SELECT pg_switch_wal()", database="intelgraph")
        stored, refusal = await asyncio.wait_for(_fill(opened), 60)
        assert isinstance(refusal, ResourceExhausted)
        assert (refusal.reason, is_transient(refusal)) == ("DISK_FULL", False)
        assert refusal.retry_after is not None
        assert isinstance(refusal.__cause__, asyncpg.DiskFullError) == (not log_is_full)

        ballast.unlink()
        async with asyncio.timeout(30):
            while True:
                try:
                    await _store(opened, stored + 1)
                    break
                except IntelGraphError:
                    await asyncio.sleep(0.2)
        async with opened.read(TENANT) as connection:
            assert await connection.fetchval("SELECT count(*) FROM entity_change_log") == stored + 1
        await opened.close()


async def _fill(opened: Database) -> tuple[int, IntelGraphError]:
    """Stores rows one by one until it is refused."""
    for number in range(1, 1000):
        try:
            await _store(opened, number)
        except IntelGraphError as error:
            return number - 1, error
    raise AssertionError("the disk is not as small as it should be")


async def _store(opened: Database, number: int) -> None:
    log = NaiveLog()
    log.change(ENTITIES[0], 1, number, 1, delete=False, snapshot=False)
    rows = [replace(row, seq=number, sealed=os.urandom(1 << 20)) for row in log.rows]
    async with opened.write() as connection:
        await write(connection, TENANT, rows)


@pytest.mark.parametrize(
    ("error", "reason", "transient"),
    [
        (asyncpg.DiskFullError(), "DISK_FULL", False),
        (asyncpg.OutOfMemoryError(), "STORAGE_EXHAUSTED", False),
        (asyncpg.TooManyConnectionsError(), "STORAGE_BUSY", True),
        (asyncpg.QueryCanceledError(), "STORAGE_BUSY", True),
        (asyncpg.LockNotAvailableError(), "STORAGE_BUSY", True),
        (asyncpg.SerializationError(), "STORAGE_CONFLICT", True),
        (asyncpg.CannotConnectNowError(), "STORAGE_UNAVAILABLE", True),
        (asyncpg.AdminShutdownError(), "STORAGE_UNAVAILABLE", True),
        (asyncpg.CrashShutdownError(), "STORAGE_UNAVAILABLE", True),
        (asyncpg.ConnectionDoesNotExistError(), "STORAGE_UNAVAILABLE", True),
        (asyncpg.ReadOnlySQLTransactionError(), "STORAGE_UNAVAILABLE", True),
        (
            asyncpg.InterfaceError("cannot perform operation: connection is closed"),
            "STORAGE_UNAVAILABLE",
            True,
        ),
        (
            asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
            "STORAGE_UNAVAILABLE",
            True,
        ),
        (ConnectionRefusedError(), "STORAGE_UNAVAILABLE", True),
        (FileNotFoundError(), "STORAGE_UNAVAILABLE", True),
        (TimeoutError(), "STORAGE_UNAVAILABLE", True),
        (asyncpg.DataCorruptedError(), "STORAGE_CORRUPT", False),
    ],
)
def test_every_failure_of_the_server_has_a_meaning(error: Exception, reason: str, transient: bool) -> None:
    fault = storage_fault(error)
    assert fault is not None
    assert (fault.reason, is_transient(fault), is_transient(error)) == (reason, transient, transient)
    assert fault.fix
    assert transient <= (fault.retry_after is not None)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InsufficientPrivilegeError(),
        asyncpg.UniqueViolationError(),
        asyncpg.InterfaceError("another operation is in progress"),
        ValueError(),
        Unavailable("KEY_UNAVAILABLE", "not of storage"),
        KeyboardInterrupt(),
    ],
)
def test_a_defect_is_not_taken_for_an_outage(error: BaseException) -> None:
    assert not is_transient(error)
    assert not isinstance(error, Exception) or storage_fault(error) is None
