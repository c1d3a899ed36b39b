"""`kill -9` of a gateway that runs an operation, at every place where it can strike."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from intelgraph.storage.settings import StorageSettings

ROOT = Path(__file__).resolve().parents[2]


def test_an_operation_killed_anywhere_ends_as_one_that_was_left_alone(
    storage_settings: StorageSettings, tmp_path: Path, is_full: bool
) -> None:
    addresses = {
        name: dsn.get_secret_value()
        for name in ("owner_dsn", "writer_dsn", "reader_dsn")
        if (dsn := getattr(storage_settings, name)) is not None
    }
    every = "1" if is_full else "6"
    command = [sys.executable, "-m", "tests.faults.operation_killed", json.dumps(addresses)]
    done = subprocess.run(
        [*command, str(tmp_path / "keys"), every], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["expected"]["removed"] == 8
    assert found["expected"]["findings"] == []
    assert {"remove.applied", "merge.committed", "end.applied"} <= set(found["places"])
    assert len(found["struck"]) >= len(found["places"]) // int(every)
    for place, left in found["struck"].items():
        assert left == found["expected"], place
