"""Programs in Go that tests need: built from `tests/parts/NAME/`, kept outside the tree."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

PARTS: Final = Path(__file__).parent
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "intelgraph-gateway" / "parts"


def go_program(name: str) -> Path:
    """The program of `tests/parts/name/`. Skips the test where there is no Go; with CI set that is a failure."""
    program = find_go_program(name)
    if program is None:
        reason = f"{name} is built with Go 1.24 or newer, which is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return program


def find_go_program(name: str) -> Path | None:
    """The same, built once for its sources, their pinned modules and the compiler; None without Go."""
    go = shutil.which("go")
    if go is None:
        return None
    compiler = subprocess.run([go, "version"], capture_output=True, check=True).stdout
    sources = sorted(path for path in (PARTS / name).iterdir() if path.is_file())
    key = hashlib.sha256(b"\0".join([compiler, *(path.read_bytes() for path in sources)])).hexdigest()[:16]
    program = CACHE / f"{name}-{key}" / name
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        scratch = program.with_name(f"{name}.{os.getpid()}")
        # -mod=readonly: what go.mod and go.sum pin, and nothing else.
        command = [go, "build", "-mod=readonly", "-o", str(scratch), "."]
        built = subprocess.run(command, cwd=PARTS / name, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr
        scratch.replace(program)
    return program
