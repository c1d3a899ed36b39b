"""Order, estimates and the written form of a comparison."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benches.harness.batch_arm import BatchArm
from benches.harness.environment import observe
from benches.harness.estimate import Estimate, bootstrap_median, ratio_of
from benches.harness.interleave import Series, interleave
from benches.harness.report import Figure, Report, Target, write_report
from benches.harness.sample import Sample


@dataclass
class Recorded:
    """An arm that notes when it is asked."""

    name: str
    calls: list[str]
    records: int = field(default=0)

    def measure(self) -> Sample:
        """Returns one record more each time."""
        self.calls.append(self.name)
        self.records += 1
        return Sample(self.records, wall_s=1.0, cpu_s=0.5)


def series(name: str, *rates: int) -> Series:
    """One sample of a second per rate."""
    return Series(name, tuple(Sample(rate, wall_s=1.0, cpu_s=1.0) for rate in rates))


def test_rounds_alternate_their_order_and_the_first_is_not_kept() -> None:
    calls: list[str] = []
    taken = interleave([Recorded("a", calls), Recorded("b", calls)], rounds=2)
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert [(one.name, [sample.records for sample in one.samples]) for one in taken] == [
        ("a", [2, 3]),
        ("b", [2, 3]),
    ]


def test_arms_of_one_name_are_refused() -> None:
    calls: list[str] = []
    with pytest.raises(ValueError, match="same name"):
        interleave([Recorded("a", calls), Recorded("a", calls)], rounds=1)


def test_a_ratio_pairs_the_samples_of_one_round() -> None:
    drifting = series("product", 600, 1200, 300), series("peer", 100, 200, 50)
    assert ratio_of(*drifting, lambda sample: sample.per_second) == Estimate(6.0, 6.0, 6.0)


def test_series_of_different_length_are_not_paired() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio_of(series("a", 1, 2), series("b", 1), lambda sample: sample.per_second)


def test_the_interval_lies_around_the_median_within_the_values() -> None:
    values = [1.0, 1.1, 0.9, 1.2, 0.8, 1.0, 1.05]
    estimate = bootstrap_median(values)
    assert min(values) <= estimate.low <= estimate.median == 1.0 <= estimate.high <= max(values)
    assert estimate == bootstrap_median(values)


def test_nothing_is_estimated_from_nothing() -> None:
    with pytest.raises(ValueError, match="no samples"):
        bootstrap_median([])


def test_rates_are_per_second_of_elapsed_and_of_cpu_time() -> None:
    sample = Sample(records=1000, wall_s=2.0, cpu_s=0.5, storage_cpu_s=0.25, ack_ms=(1.0, 2.0, 3.0))
    assert sample.per_second == 500
    assert sample.per_core_second == 2000
    assert sample.cpu_us == 500
    assert sample.storage_cpu_us == 250
    assert sample.ack_percentile_ms(50) == 2.0


def test_a_batch_arm_runs_at_least_once_and_counts_records() -> None:
    calls: list[int] = []
    sample = BatchArm("arm", lambda: calls.append(1), records=512, seconds=0.0).measure()
    assert len(calls) == 1
    assert sample.records == 512


@pytest.mark.parametrize(
    ("target", "met", "missed"), [(Target(6), 6.0, 5.9), (Target(4, at_most=True), 4.0, 4.1)]
)
def test_a_target_includes_its_bound(target: Target, met: float, missed: float) -> None:
    assert target.is_met_by(met)
    assert not target.is_met_by(missed)


def test_the_report_holds_environment_samples_and_figures(tmp_path: Path) -> None:
    taken = (series("naive", 100, 110), Series("gateway", (Sample(1, 1.0, 1.0, ack_ms=(1.0, 3.0)),)))
    figures = (Figure("vs_naive", Estimate(6.5, 6.0, 7.0), Target(6)),)
    report = Report("ingest", "Ingest", observe(["rich", "no-such-distribution"]), taken, figures)
    written = json.loads(write_report(report, tmp_path / "bench").read_text(encoding="utf-8"))
    assert written["figures"] == {"vs_naive": 6.5}
    assert written["intervals_95"] == {"vs_naive": [6.0, 7.0]}
    assert [sample["records"] for sample in written["samples"]["naive"]] == [100, 110]
    assert written["samples"]["gateway"][0]["ack_p50_ms"] == 2.0
    assert set(written["environment"]["versions"]) == {"python", "rich"}
    assert written["environment"]["cores"] >= 1
