"""The gateway of the demo: a process of its own, as anyone would start it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from intelgraph.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_STOP_SECONDS: Final = 60.0
_LAST_LINES: Final = 12


@contextmanager
def running_gateway(data_dir: Path, log: Path) -> Iterator[str]:
    """`intelgraph serve` on free ports of loopback; its address once it answers. Stopped at the end.

    Raises Unavailable (DEMO_GATEWAY_FAILED) with its last words.
    """
    # The demo is the same everywhere: no setting of the environment or of a file nearby changes it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INTELGRAPH_")}
    command = [
        *(sys.executable, "-m", "intelgraph", "--json", "--data-dir", str(data_dir.absolute())),
        *("serve", "--port", "0", "--http-port", "0"),
    ]
    with log.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603 - this very program
            command, cwd=log.parent, env=environment, stdout=subprocess.PIPE, stderr=errors
        )
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Waits for the line that says where it listens; the pipe ends where it fails."""
    line = process.stdout.readline() if process.stdout is not None else b""
    if not line:
        status = process.wait()
        words = log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        raise Unavailable(
            reason="DEMO_GATEWAY_FAILED",
            message=f"the gateway did not start (status {status}):\n" + "\n".join(words),
            fix=f"see {log}",
        )
    return str(json.loads(line)["grpc"])
