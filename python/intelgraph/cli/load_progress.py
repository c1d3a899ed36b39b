"""Progress bars of loads, on standard error: what was read, how fast, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from intelgraph.client import Totals

if TYPE_CHECKING:
    from types import TracebackType

    from intelgraph.client import RecordStream


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        elapsed = task.finished_time or task.elapsed or 0.0
        sent = task.fields["totals"].sent
        return Text(f"{sent / elapsed if elapsed else 0.0:>8,.0f}/s", style="cyan")


class _Outcomes(ProgressColumn):
    def render(self, task: Task) -> Text:
        totals: Totals = task.fields["totals"]
        counts = (
            (totals.accepted, "accepted", "green"),
            (totals.warned, "of them with a warning", "yellow"),
            (totals.unchanged, "unchanged", "dim"),
            (totals.duplicate, "duplicate", "dim"),
            (totals.quarantined, "quarantined", "yellow"),
            (totals.rejected, "rejected", "red"),
            (totals.settled_on_resume, "settled", "dim"),
        )
        return Text(", ").join(Text(f"{count:,} {name}", style) for count, name, style in counts if count)


class _WaitsFor(ProgressColumn):
    def render(self, task: Task) -> Text:
        stream: RecordStream | None = task.fields["stream"]
        error = stream.waits_for if stream is not None else None
        return Text(f"waiting: {error.reason}" if error is not None else "", style="yellow")


class LoadProgress:
    """Bars, one for each source; a context manager."""

    def __init__(self, *, shown: bool = True) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✔"),
            TextColumn("{task.description}", style="bold"),
            BarColumn(bar_width=16),
            _Rate(),
            _WaitsFor(),
            _Outcomes(),
            console=Console(stderr=True),
            disable=not shown,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def bar(self, name: str, size: int | None) -> Bar:
        """A bar for a source of `size` bytes; None where that is not known."""
        return Bar(self._progress, self._progress.add_task(name, total=size, totals=Totals(), stream=None))


class Bar:
    """The progress of one source."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, totals: Totals, position: int) -> None:
        """Shows the sums and the bytes read so far."""
        self._progress.update(self._task, completed=position, totals=totals)

    def follow(self, stream: RecordStream) -> None:
        """From now on shows why the gateway takes nothing, while it does not."""
        self._progress.update(self._task, stream=stream)

    def finish(self) -> None:
        """Shows that the source is at its end."""
        self._progress.update(self._task, total=1, completed=1, stream=None)
