"""OPA itself, as the oracle for Rego.

Built from its Go module once, into the user's cache: some 80 s on two cores. Without Go the tests that need it are
skipped with the reason; with `CI` set that is a failure.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

VERSION = "v1.22.3"


@pytest.fixture(scope="session")
def opa() -> Path:
    """The `opa` program."""
    program = find_opa()
    if program is None:
        reason = "Go is not installed, and OPA is built from its Go module"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return program


def find_opa() -> Path | None:
    """The program, built where it is not cached yet; None without Go."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "intelgraph" / f"opa-{VERSION}"
    program = cache / "opa"
    if not program.exists():
        go = shutil.which("go")
        if go is None:
            return None
        module = f"github.com/open-policy-agent/opa@{VERSION}"
        subprocess.run([go, "install", module], env=os.environ | {"GOBIN": str(cache)}, check=True)
    return program
