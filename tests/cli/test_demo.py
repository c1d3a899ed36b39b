"""What the demo checks before and after it runs."""

from __future__ import annotations

import io
import json
from pathlib import Path
from uuid import uuid4

import pytest
from rich.console import Console, RenderableType

from intelgraph import errors
from intelgraph.cli.app import main
from intelgraph.cli.demo import nycflights, story
from intelgraph.cli.demo.gateway import running_gateway
from intelgraph.cli.demo.report import DemoReport
from intelgraph.cli.loading import Destination, Loaded
from intelgraph.cli.unreadable import Unreadable
from intelgraph.client import Totals

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


def shown_at_80_columns(what: RenderableType, *, soft_wrap: bool = False) -> str:
    text = io.StringIO()
    Console(file=text, width=80).print(what, soft_wrap=soft_wrap)
    return text.getvalue()


def test_the_headings_of_the_counts_are_whole_at_80_columns() -> None:
    totals = Totals(sent=336_776, accepted=334_264, quarantined=2_512)
    destination = Destination("airports", "airports", "test")
    load = Loaded("airports.csv", destination, totals, 5.5, (), (), (), Unreadable(), 0)
    heading = shown_at_80_columns(story.throughput(SOUND, [load])).splitlines()[1]
    for column in ("dataset", "sent", "accepted", "unchanged", "duplicate", "quarantined", "records/s"):
        assert column in heading


def test_the_next_steps_can_be_pasted_into_two_new_terminals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / f"a name with spaces, too long for one line of a terminal {uuid4()}"
    project.mkdir()
    monkeypatch.chdir(project)
    lines = shown_at_80_columns(story.next_steps(Path("build/demo/data")), soft_wrap=True).splitlines()
    data = project / "build" / "demo" / "data"
    assert lines.count(f"  cd '{project}'") == 2
    assert lines.count(f"  export INTELGRAPH_DATA_DIR='{data}'") == 2
    serve, history = (
        next(number for number, line in enumerate(lines) if line.endswith(command))
        for command in ("intelgraph serve", "entity history weather EWR")
    )
    exports = [number for number, line in enumerate(lines) if "export " in line]
    assert exports[0] < serve < exports[1] < history
