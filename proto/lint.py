"""Checks form and comments of the wire with buf.

buf is built from its Go module once, into the user's cache. Without Go the check is skipped with the reason
printed; with `CI` set that is a failure. buf gets descriptors compiled here, because
`google/rpc/status.proto` comes from a Python distribution and not from buf's registry.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from generate import PACKAGE, ROOT, describe

VERSION = "v1.75.0"


def buf() -> Path | None:
    """The buf program, built where it is not cached yet; None without Go."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "intelgraph" / f"buf-{VERSION}"
    program = cache / "buf"
    if not program.exists():
        go = shutil.which("go")
        if go is None:
            return None
        environment = os.environ | {"GOBIN": str(cache)}
        subprocess.run(
            [go, "install", f"github.com/bufbuild/buf/cmd/buf@{VERSION}"], env=environment, check=True
        )
    return program


def main() -> int:
    """Returns the exit code."""
    program = buf()
    if program is None:
        print("proto/lint.py: skipped, Go is not installed and buf is built from its Go module")
        return 1 if os.environ.get("CI") else 0
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(scratch, "wire.binpb")
        describe(image)
        lint = ["lint", str(image), "--config", str(ROOT / "buf.yaml"), "--path", PACKAGE.parts[0]]
        form = ["format", "--diff", "--exit-code", str(ROOT)]
        return max(subprocess.run([program, *verb], check=False).returncode for verb in (lint, form))


if __name__ == "__main__":
    sys.exit(main())
