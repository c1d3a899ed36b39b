"""Progress bars of verbs that work on the gateway's host, on standard error; none with --json."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)


class Bars(Protocol):
    """Shows how far each part is."""

    def __call__(self, part: str, done: int, total: int) -> None:
        """Of the part so much is done."""


@contextmanager
def bars(*, shown: bool, in_bytes: bool) -> Iterator[Bars]:
    """Bars for as long as the block runs, one for each part."""
    counted = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), counted, TimeRemainingColumn())
    progress = Progress(*columns, console=Console(stderr=True), transient=True, disable=not shown)
    tasks = {}

    def show(part: str, done: int, total: int) -> None:
        if part not in tasks:
            tasks[part] = progress.add_task(part, total=total)
        progress.update(tasks[part], completed=done, total=total)

    with progress:
        yield show
