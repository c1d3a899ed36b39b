"""A PostgreSQL of the gateway's own: created, started, kept running and stopped by it.

    with EmbeddedServer(data_dir) as server:
        database = await Database.connect(server.addresses(settings))

It listens on a Unix socket in its 0700 directory and nowhere else, and lets in the gateway's own account by
peer authentication and nobody else. One gateway owns a data directory; others attach to it by DSN.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from pydantic import SecretStr

from intelgraph.errors import FailedPrecondition
from intelgraph.storage.account import gateway_account, server_account
from intelgraph.storage.cluster import DATABASE, ensure_cluster
from intelgraph.storage.postmaster import Postmaster, ServerCommand, end_orphan
from intelgraph.storage.programs import postgres_programs
from intelgraph.storage.settings import StorageSettings


class EmbeddedServer:
    """The server in `<data_dir>/postgres`. `start` and `stop` block."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.absolute()
        self.cluster = self.data_dir / "postgres"
        self._lock: int | None = None
        self._postmaster: Postmaster | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the server, while it runs."""
        return self._postmaster.pid if self._postmaster is not None else None

    def start(self) -> None:
        """Creates the server where there is none, starts it, and returns when it accepts connections.

        Raises FailedPrecondition DATA_DIRECTORY_IN_USE, DATA_DIRECTORY_NOT_OURS, DATA_DIRECTORY_UNUSABLE,
        POSTGRES_INCOMPLETE, POSTGRES_MAJOR_VERSION, POSTGRES_MISSING, ACCOUNT_UNNAMED or ACCOUNT_MISSING,
        Unavailable POSTGRES_NOT_STARTED or POSTGRES_STILL_STOPPING, and Internal INITDB_FAILED.
        """
        try:
            self._start()
        except OSError as error:
            raise FailedPrecondition(
                "DATA_DIRECTORY_UNUSABLE",
                f"{error.filename or self.data_dir} cannot be used ({error.strerror or type(error).__name__})",
                fix="see whether its disk is there, has room and may be written, and whether the gateway's"
                " account may write it; or name another data directory",
            ) from error

    def _start(self) -> None:
        run = self.data_dir / "run"
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        run.mkdir(mode=0o700, exist_ok=True)
        self._lock = _lock(run / "postgres.lock")
        try:
            account = server_account(self.cluster)
            programs = postgres_programs(account)
            end_orphan(self.cluster)
            ensure_cluster(self.cluster, account, gateway_account(), programs)
            command = ServerCommand(programs, self.cluster, account, log=run / "postgres.log")
            self._postmaster = Postmaster(command)
            self._postmaster.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Shuts the server down and gives the data directory free."""
        postmaster, self._postmaster = self._postmaster, None
        lock, self._lock = self._lock, None
        try:
            if postmaster is not None:
                postmaster.stop()
        finally:
            if lock is not None:
                os.close(lock)

    def dsn(self, role: str, database: str = DATABASE) -> str:
        """How `role` connects, from any process of the gateway's account on this host."""
        return f"postgresql://{role}@/{database}?host={quote(str(self.cluster), safe='/')}"

    def addresses(self, settings: StorageSettings) -> StorageSettings:
        """`settings` with the addresses of this server."""
        return settings.model_copy(
            update={
                f"{role}_dsn": SecretStr(self.dsn(f"intelgraph_{role}"))
                for role in ("owner", "writer", "reader")
            }
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _lock(path: Path) -> int:
    """Takes the data directory for this process; the kernel gives it free when the process ends."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 32).decode(errors="replace").strip()
        os.close(lock)
        raise FailedPrecondition(
            "DATA_DIRECTORY_IN_USE",
            f"the gateway with process id {holder or 'unknown'} uses {path.parent.parent}",
            fix="stop it, choose another data directory, or attach to its PostgreSQL by DSN",
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock
