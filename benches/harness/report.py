"""The table that a person reads and the JSON file that a machine reads."""

import json
import statistics
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benches.harness.environment import Environment
from benches.harness.estimate import Estimate
from benches.harness.interleave import Series
from benches.harness.sample import Sample

BUILD_DIRECTORY = Path(__file__).resolve().parents[2] / "build" / "bench"


@dataclass(frozen=True, slots=True)
class Target:
    """The bound that a figure is held against."""

    bound: float
    at_most: bool = False

    def is_met_by(self, value: float) -> bool:
        """Whether `value` lies on the right side of the bound, the bound itself included."""
        return value <= self.bound if self.at_most else value >= self.bound

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One named result, with its unit in the name or none if it is a ratio."""

    key: str
    estimate: Estimate
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All that a benchmark found."""

    name: str
    title: str
    environment: Environment
    series: tuple[Series, ...]
    figures: tuple[Figure, ...]


def print_report(report: Report, console: Console) -> None:
    """Prints the machine, one row per arm and one row per figure."""
    environment = report.environment
    console.print(f"[bold]{report.title}[/bold]")
    console.print(f"{environment.cpu}, {environment.cores} cores, {environment.date}", highlight=False)
    console.print(_arms(report))
    console.print(_figures(report))


def write_report(report: Report, directory: Path = BUILD_DIRECTORY) -> Path:
    """Writes `NAME.json` with the keys `environment`, `samples` and `figures`; returns its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{report.name}.json"
    content = {
        "environment": report.environment.as_json(),
        "samples": {
            series.name: [_sample_json(sample) for sample in series.samples] for series in report.series
        },
        "figures": {figure.key: figure.estimate.median for figure in report.figures},
        "intervals_95": {
            figure.key: [figure.estimate.low, figure.estimate.high] for figure in report.figures
        },
    }
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _sample_json(sample: Sample) -> dict[str, float]:
    plain: dict[str, float] = {"records": sample.records, "wall_s": sample.wall_s, "cpu_s": sample.cpu_s}
    if sample.storage_cpu_s:
        plain["storage_cpu_s"] = sample.storage_cpu_s
    if sample.ack_ms:
        plain["ack_p50_ms"] = sample.ack_percentile_ms(50)
        plain["ack_p95_ms"] = sample.ack_percentile_ms(95)
    if sample.resident_bytes:
        plain["resident_bytes"] = sample.resident_bytes
    return plain


def _arms(report: Report) -> Table:
    acked = any(sample.ack_ms for series in report.series for sample in series.samples)
    rounds = sorted({len(series.samples) for series in report.series})
    caption = "µs: CPU time per record" + ("; ms: from sending a batch to its ack" if acked else "")
    table = Table(title=f"medians of {' or '.join(map(str, rounds))} interleaved rounds", caption=caption)
    table.add_column("arm", no_wrap=True)
    for heading in ("records/s", "lowest", "highest", "CPU µs"):
        table.add_column(heading, justify="right")
    if acked:
        for heading in ("DB µs", "p50 ms", "p95 ms"):
            table.add_column(heading, justify="right")
    for series in report.series:
        table.add_row(series.name, *_rates(series), *(_acks(series) if acked else ()))
    return table


def _rates(series: Series) -> tuple[str, ...]:
    rates = [sample.per_second for sample in series.samples]
    cpu_us = statistics.median(sample.cpu_us for sample in series.samples)
    return f"{statistics.median(rates):,.0f}", f"{min(rates):,.0f}", f"{max(rates):,.0f}", f"{cpu_us:.2f}"


def _acks(series: Series) -> tuple[str, ...]:
    if not all(sample.ack_ms for sample in series.samples):
        return "", "", ""
    storage_us = statistics.median(sample.storage_cpu_us for sample in series.samples)
    half, most = (
        statistics.median(sample.ack_percentile_ms(percent) for sample in series.samples)
        for percent in (50, 95)
    )
    return f"{storage_us:.2f}", f"{half:.1f}", f"{most:.1f}"


def _figures(report: Report) -> Table:
    table = Table(title="figures")
    table.add_column("figure", no_wrap=True)
    for heading in ("median", "95 % interval", "target", "met"):
        table.add_column(heading, justify="right")
    for figure in report.figures:
        estimate, target = figure.estimate, figure.target
        met = "" if target is None else ("yes" if target.is_met_by(estimate.median) else "[red]no[/red]")
        interval = f"{_rounded(estimate.low)} … {_rounded(estimate.high)}"
        table.add_row(figure.key, _rounded(estimate.median), interval, str(target or ""), met)
    return table


def _rounded(value: float) -> str:
    """Whole numbers from 100 on, else three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
