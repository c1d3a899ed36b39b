"""A server under test, run as a process of its own."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[1]
_STOP_TIMEOUT_S = 15


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server that listens: its loopback port and its process id."""

    port: int
    pid: int


@contextlib.contextmanager
def serve_module(module: str, arguments: Sequence[str]) -> Iterator[ServerProcess]:
    """Runs `python -m module arguments…`, which must print its port as its first line once it listens;
    stops it at the end.

    Raises:
        RuntimeError: if the process ends before it listens.
    """
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, cwd=_REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield ServerProcess(_first_line_as_port(process, module), process.pid)
        finally:
            stop(process)


def stop(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Asks a process to end, and kills it if it does not."""
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _first_line_as_port(process: subprocess.Popen[str], module: str) -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{module} ended before it listened, exit code {process.wait(_STOP_TIMEOUT_S)}")
    return int(line)
