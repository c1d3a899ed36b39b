"""What the demo checks before and after it runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from intelgraph import errors
from intelgraph.cli.app import main
from intelgraph.cli.demo import nycflights
from intelgraph.cli.demo.gateway import running_gateway
from intelgraph.cli.demo.report import DemoReport

SOUND = DemoReport(
    sent=10,
    accepted=6,
    unchanged=1,
    duplicate=1,
    quarantined=2,
    changes=6,
    records_per_second=5.0,
    p95_ack_ms=1.0,
)


def test_counts_that_add_up_pass(tmp_path: Path) -> None:
    SOUND.check()
    SOUND.write(tmp_path / "build" / "report.json")
    assert json.loads((tmp_path / "build" / "report.json").read_text()) == {
        "sent": 10,
        "accepted": 6,
        "unchanged": 1,
        "duplicate": 1,
        "quarantined": 2,
        "changes": 6,
        "records_per_second": 5.0,
        "p95_ack_ms": 1.0,
    }


@pytest.mark.parametrize(("sent", "changes"), [(11, 6), (10, 7)])
def test_a_record_or_change_unaccounted_for_fails(sent: int, changes: int) -> None:
    report = DemoReport(sent, 6, 1, 1, 2, changes, 5.0, 1.0)
    with pytest.raises(errors.DataLoss, match="DEMO_COUNTS"):
        report.check()


def test_missing_data_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(nycflights, "PACKAGE", "nycflights-that-is-not-there")
    with pytest.raises(SystemExit) as ended:
        main(["demo"])
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert "DEMO_DATA_MISSING" in shown
    assert "make demo" in shown


def test_a_gateway_that_does_not_start_says_why(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o755)
    with (
        pytest.raises(errors.Unavailable, match="DEMO_GATEWAY_FAILED") as failed,
        running_gateway(data_dir, tmp_path / "gateway.log"),
    ):
        pytest.fail("the gateway must not start")
    assert "chmod 700" in failed.value.message
