"""Checks form and comments of the wire with buf.

buf gets descriptors compiled here, because `google/rpc/status.proto` comes from a Python distribution and not from
buf's registry.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from generate import PACKAGE, ROOT, describe

BUF: Final = Path(sys.executable).with_name("buf")


def main() -> int:
    """Returns the exit code."""
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(scratch, "wire.binpb")
        describe(image)
        lint = ["lint", str(image), "--config", str(ROOT / "buf.yaml"), "--path", PACKAGE.parts[0]]
        form = ["format", "--diff", "--exit-code", str(ROOT)]
        return max(subprocess.run([BUF, *verb], check=False).returncode for verb in (lint, form))


if __name__ == "__main__":
    sys.exit(main())
