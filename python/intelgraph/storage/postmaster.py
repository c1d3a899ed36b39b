"""Runs PostgreSQL for as long as the gateway wants it: starts it, watches it, starts it again, stops it.

One thread launches the server and waits for it. It has to be a thread of its own: the kernel ties the
server's life to the thread that launched it, and a thread of a pool may end before the gateway does.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from intelgraph.errors import Unavailable
from intelgraph.storage.account import Account
from intelgraph.storage.cluster import directory_argument, server_environment

LOG_LIMIT = 16 * 1024 * 1024
"""Bytes of the server's log beyond which it is set aside at the next start."""

_START_SECONDS = 120.0  # crash recovery replays up to max_wal_size
_STOP_SECONDS = 60.0  # a fast shutdown writes a checkpoint
# Fast, then immediate (the next start recovers), then not asking.
_STOP_REQUESTS = ((signal.SIGINT, _STOP_SECONDS), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))
_POLL_SECONDS = 0.005
_RESTART_SECONDS = (0.1, 5.0)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerCommand:
    """What to run, where, and as whom."""

    programs: Path
    cluster: Path
    account: Account
    log: Path

    def argv(self) -> list[str]:
        """The launcher's command line. The settings on it keep the server closed; nothing overrides them."""
        launcher = Path(__file__).with_name("launcher.py")
        identity = [str(os.getpid()), str(self.account.uid), str(self.account.gid)]
        directory = directory_argument(self.cluster)
        server = [str(self.programs / "postgres"), "-D", directory]
        settings = {
            "listen_addresses": "",
            # The server's own directory: 0700, and short however long its path is.
            "unix_socket_directories": ".",
            "unix_socket_permissions": "0700",
            "hba_file": f"{directory}/pg_hba.conf",
            "ident_file": f"{directory}/pg_ident.conf",
            "logging_collector": "off",
        }
        arguments = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
        return [sys.executable, "-I", "-S", str(launcher), *identity, *server, *arguments]


class Postmaster:
    """One server. Thread-safe; `start` and `stop` block."""

    def __init__(self, command: ServerCommand) -> None:
        self._command = command
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._started = threading.Event()
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """Process id of the server that runs now."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Returns when the server accepts connections.

        Raises Unavailable POSTGRES_NOT_STARTED with the reason that the server logged.
        """
        self._thread = threading.Thread(target=self._supervise, name="postgres", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._ready():
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self.stop()
                raise Unavailable(
                    "POSTGRES_NOT_STARTED",
                    f"the embedded PostgreSQL does not start: {self._last_words()}",
                    fix=f"see {self._command.log}, and mend what it names or restore the data directory",
                )
            time.sleep(_POLL_SECONDS)
        self._started.set()

    def stop(self) -> None:
        """Shuts the server down, and returns when it is gone. Does nothing the second time."""
        self._stopping.set()
        thread, self._thread = self._thread, None
        if thread is None:
            return
        for request, patience in _STOP_REQUESTS:
            process = self._process
            if process is not None and process.poll() is None:
                process.send_signal(request)
            thread.join(patience)
            if not thread.is_alive():
                return

    def _supervise(self) -> None:
        pause, longest = _RESTART_SECONDS
        while not self._stopping.is_set():
            launched = time.monotonic()
            with self._open_log() as log:
                self._log_start = log.seek(0, os.SEEK_END)
                self._process = subprocess.Popen(  # noqa: S603 (our launcher and the wheel's server)
                    self._command.argv(),
                    cwd=self._command.cluster,
                    env=server_environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # Ctrl-C is for the gateway: it drains, and stops the server last.
                    start_new_session=True,
                )
            if self._stopping.is_set():
                self._process.send_signal(signal.SIGINT)
            status = self._process.wait()
            if self._stopping.is_set() or not self._started.is_set():
                return
            pause = _RESTART_SECONDS[0] if time.monotonic() - launched > longest else min(2 * pause, longest)
            _log.error("the embedded PostgreSQL ended (status %d); starting it again", status)
            self._stopping.wait(pause)

    def _ready(self) -> bool:
        """Whether the running server has said so in its lock file (line 1 its pid, line 8 its state)."""
        pid = self.pid
        if pid is None:
            return False
        try:
            lines = (self._command.cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _open_log(self) -> BinaryIO:
        path = self._command.log
        if path.exists() and path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_suffix(".log.1"))
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")

    def _last_words(self) -> str:
        """Why the last launch failed: its last line in the log, of those that are fatal if there are any."""
        with self._command.log.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - 4096))
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
        fatal = [line.partition("FATAL:")[2].strip() for line in lines if "FATAL:" in line]
        said = fatal or [line for line in lines if line]
        return said[-1] if said else f"it gave no reason in {self._command.log}"


def end_orphan(cluster: Path) -> None:
    """Waits for the server of a gateway that was killed: it shuts down by itself, on Linux, or is asked to.

    The caller holds the lock of the data directory, so no gateway uses that server. Raises Unavailable
    POSTGRES_STILL_STOPPING.
    """
    lock_file = cluster / "postmaster.pid"
    deadline = time.monotonic() + _STOP_SECONDS
    asked = False
    while (pid := _named(lock_file)) is not None:
        if not _serves(pid, cluster):
            # After a crash another process may have got the number, and PostgreSQL would refuse to start as
            # long as that one lives. Backends that outlived their postmaster are still found: they hold the
            # shared memory that goes with the directory.
            lock_file.unlink(missing_ok=True)
            return
        if not asked:
            asked = True
            os.kill(pid, signal.SIGINT)
        if time.monotonic() > deadline:
            raise Unavailable(
                "POSTGRES_STILL_STOPPING",
                f"the PostgreSQL of a former gateway (process {pid}) is still writing to {cluster}",
                fix="wait until it has stopped, and start again",
                retry_after=10.0,
            )
        time.sleep(_POLL_SECONDS)


def _named(lock_file: Path) -> int | None:
    """The process that the server's lock file names."""
    try:
        return int(lock_file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _serves(pid: int, cluster: Path) -> bool:
    """Whether that process is a server of this directory: a server works inside its own."""
    import psutil  # noqa: PLC0415 (20 ms, and rarely needed)

    try:
        return cluster.samefile(psutil.Process(pid).cwd())
    except (psutil.Error, OSError):
        return False
