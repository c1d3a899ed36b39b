"""Dumps and restores the whole database with PostgreSQL's own programs.

Row-level security is forced on the gateway's owner too, and pg_dump refuses to leave rows out in silence. So whoever
dumps is a superuser, or has BYPASSRLS and may read every table: of the embedded server, its superuser, by peer
authentication, which lets in the gateway's account alone; of another one, the role of `storage.backup_dsn`. Nothing is
granted to the roles that serve.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import asyncpg

from intelgraph.errors import FailedPrecondition, Unavailable
from intelgraph.storage.account import gateway_account
from intelgraph.storage.cluster import SUPERUSER, server_environment
from intelgraph.storage.connection import reachable
from intelgraph.storage.embedded import EmbeddedServer
from intelgraph.storage.faults import storage_fault
from intelgraph.storage.programs import postgres_programs

if TYPE_CHECKING:
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.settings import StorageSettings

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all, of which there may turn out to be fewer or more."""

_POLL_SECONDS: Final = 0.2
_CONNECT_SECONDS: Final = 30.0
_ROLES: Final = ("intelgraph_owner", "intelgraph_writer", "intelgraph_reader")


@dataclass(frozen=True, slots=True)
class Administrator:
    """Who reads and writes the whole database, and where."""

    dsn: str

    @classmethod
    def of(cls, settings: "StorageSettings", data_dir: Path) -> "Administrator":
        """That of the embedded server, or of `storage.backup_dsn`. Raises FailedPrecondition BACKUP_ROLE_MISSING."""
        if settings.embedded:
            return cls(EmbeddedServer(data_dir).dsn(SUPERUSER))
        if settings.backup_dsn is None:
            raise FailedPrecondition(
                "BACKUP_ROLE_MISSING",
                "the database is not the embedded one, and nobody is named who may read all of it",
                fix="set storage.backup_dsn, for this verb alone, to the address of a superuser, or to take backups"
                " of a role with BYPASSRLS and pg_read_all_data",
            )
        return cls(settings.backup_dsn.get_secret_value())

    @asynccontextmanager
    async def connection(self) -> "AsyncIterator[Connection]":
        """A connection by itself. Raises Unavailable STORAGE_UNAVAILABLE."""
        try:
            connection = await asyncpg.connect(reachable(self.dsn), timeout=_CONNECT_SECONDS)
        except Exception as error:
            fault = storage_fault(error)
            if fault is None:
                raise
            raise fault from error
        try:
            yield connection
        finally:
            connection.terminate()

    def program(self, name: str, *arguments: str) -> "Program":
        """A program of PostgreSQL's that connects so. Its command line has no password on it."""
        parts = urlsplit(self.dsn)
        query = dict(parse_qsl(parts.query))
        environment = server_environment() | {"HOME": os.environ.get("HOME", "/")}
        password = query.pop("password", None) or (unquote(parts.password) if parts.password else None)
        if password is not None:
            environment["PGPASSWORD"] = password
        directory = None
        if query.get("host", "").startswith("/") and sys.platform == "linux":
            # The path of a socket may be too long for the kernel; that of a working directory is not.
            directory = Path(query["host"])
            query["host"] = "/proc/self/cwd"
        user, at, host = parts.netloc.rpartition("@")
        parts = parts._replace(
            netloc=f"{user.partition(':')[0]}{at}{host}", query=urlencode(query, quote_via=quote, safe="/")
        )
        programs = postgres_programs(gateway_account())
        command = [str(programs / name), f"--dbname={urlunsplit(parts)}", "--no-password", *arguments]
        return Program(name, command, directory, environment)


@dataclass(frozen=True, slots=True)
class Program:
    """A command of PostgreSQL's, where it runs, and what it gets to see."""

    name: str
    command: Sequence[str]
    directory: Path | None
    environment: dict[str, str]

    @asynccontextmanager
    async def running(self, *, fed: bool = False) -> AsyncIterator[asyncio.subprocess.Process]:
        """It runs while the block does, and ends with it."""
        process = await asyncio.create_subprocess_exec(
            *self.command,
            cwd=self.directory,
            env=self.environment,
            stdin=asyncio.subprocess.PIPE if fed else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def require_done(self, status: int, said: bytes) -> None:
        """Raises Unavailable DUMP_FAILED unless the program did all of it."""
        if status == 0:
            return
        # The first line says what was wrong; those after it may quote a row.
        lines = said.decode(errors="replace").strip().splitlines()
        raise Unavailable(
            "DUMP_FAILED",
            f"{self.name} has failed: {lines[0] if lines else f'status {status}'}",
            fix="mend what it names; the role needs to be a superuser, or to dump to have BYPASSRLS and"
            " pg_read_all_data",
        )


async def dump(administrator: Administrator, snapshot: str, target: Path, progress: Progress) -> None:
    """Writes all of the database, as an exported snapshot shows it, to a file, named by its absolute path. Raises
    Unavailable DUMP_FAILED.
    """
    async with administrator.connection() as connection:
        about: int = await connection.fetchval("SELECT pg_database_size(current_database())")
    program = administrator.program(
        "pg_dump",
        *("--format=custom", "--compress=none", f"--snapshot={snapshot}", f"--file={target}"),
    )
    async with program.running() as process:
        ending = asyncio.create_task(process.communicate())
        while not (await asyncio.wait([ending], timeout=_POLL_SECONDS))[0]:
            size = await asyncio.to_thread(_size, target)
            progress(size, max(about, size))
        _, said = await ending
        assert process.returncode is not None  # noqa: S101 (it has ended)
        program.require_done(process.returncode, said)
    size = await asyncio.to_thread(_size, target)
    progress(size, size)


def _size(target: Path) -> int:
    try:
        return target.stat().st_size
    except FileNotFoundError:
        return 0


async def restore(
    administrator: Administrator, chunks: Iterable[bytes], size: int, progress: Progress
) -> None:
    """Fills an empty database with what `dump` wrote: all of it, or nothing. Raises Unavailable DUMP_FAILED."""
    program = administrator.program(
        "pg_restore", "--exit-on-error", "--single-transaction", "--format=custom"
    )
    async with program.running(fed=True) as process:
        ending = asyncio.create_task(_said(process))
        assert process.stdin is not None  # noqa: S101 (it is fed)
        done = 0
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for chunk in chunks:
                process.stdin.write(chunk)
                await process.stdin.drain()
                done += len(chunk)
                progress(done, size)
            process.stdin.close()
        said = await ending
        program.require_done(await process.wait(), said)


async def _said(process: asyncio.subprocess.Process) -> bytes:
    assert process.stderr is not None  # noqa: S101 (it is a pipe)
    return await process.stderr.read()


async def require_fillable(administrator: Administrator) -> None:
    """Raises FailedPrecondition RESTORE_DATABASE_NOT_EMPTY, or DATABASE_ROLES_MISSING."""
    async with administrator.connection() as connection:
        tables: int = await connection.fetchval(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        )
        rows = await connection.fetch("SELECT rolname FROM pg_roles WHERE rolname = ANY ($1::text[])", _ROLES)
    if tables:
        raise FailedPrecondition(
            "RESTORE_DATABASE_NOT_EMPTY",
            f"the database has {tables} tables, and nothing is restored over them",
            fix="name an empty database that belongs to intelgraph_owner",
        )
    missing = sorted(set(_ROLES) - {row["rolname"] for row in rows})
    if missing:
        raise FailedPrecondition(
            "DATABASE_ROLES_MISSING",
            f"the server has no role {' and no role '.join(missing)}",
            fix=f"run {Path(__file__).with_name('roles.sql')} as a superuser, once",
        )
