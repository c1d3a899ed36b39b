"""`intelgraph-verify` as an auditor runs it, in the profile that the Rust tests build it in."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class VerifyTool:
    """The program."""

    program: Path

    def report(self, *arguments: object) -> tuple[int, dict[str, Any]]:
        """The exit status and the JSON report; empty where nothing could be checked."""
        command = [str(self.program), "--json", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, check=False)
        return done.returncode, json.loads(done.stdout or b"{}")


@pytest.fixture(scope="session")
def verify_tool() -> VerifyTool:
    """Built if it is not yet."""
    command = ["cargo", "build", "--quiet", "--locked", "--package", "intelgraph-verify"]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return VerifyTool(ROOT / "target" / "debug" / "intelgraph-verify")
