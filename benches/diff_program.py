"""The crate's diff without anything around it, as a program that reads pairs of documents."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benches.harness.sample import Sample

_REPOSITORY: Final = Path(__file__).resolve().parents[1]
_EXAMPLE: Final = "diff_pairs"


def build_diff_program() -> Path:
    """Builds `crates/temporal/examples/diff_pairs.rs` in release mode, as the extension is built; gives its path.

    Raises:
        subprocess.CalledProcessError: if it cannot be built; cargo has said why.
    """
    command = ["cargo", "build", "--release", "--locked", "--quiet", "--package", "intelgraph-temporal"]
    command += ["--example", _EXAMPLE, "--message-format", "json"]
    built = subprocess.run(command, cwd=_REPOSITORY, check=True, stdout=subprocess.PIPE, text=True)
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    (program,) = (
        message["executable"]
        for message in messages
        if message["reason"] == "compiler-artifact" and message["target"]["name"] == _EXAMPLE
    )
    return Path(program)


@dataclass(frozen=True, slots=True)
class DiffProgram:
    """An arm that runs the program on a file of pairs."""

    name: str
    program: Path
    pairs: Path
    seconds: float

    def measure(self) -> Sample:
        """Runs it once; it times itself, so that its start and its parsing do not count."""
        command = [str(self.program), str(self.pairs), str(self.seconds)]
        finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        records, wall_s, cpu_s = finished.stdout.split()
        return Sample(int(records), float(wall_s), float(cpu_s))
