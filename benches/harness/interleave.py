"""Interleaved timing: A B C, C B A, A B C, …, so that drift of the machine touches every arm alike."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benches.harness.sample import Arm, Sample


@dataclass(frozen=True, slots=True)
class Series:
    """The samples of one arm, in the order of the rounds, so that equal indexes of two series are a pair."""

    name: str
    samples: tuple[Sample, ...]


def interleave(arms: Sequence[Arm], rounds: int) -> tuple[Series, ...]:
    """Measures every arm once per round, in alternating order, after one unrecorded round that warms up.

    Returns one series per arm, in the order of `arms`.
    """
    taken: dict[str, list[Sample]] = {arm.name: [] for arm in arms}
    if len(taken) != len(arms):
        raise ValueError("two arms of one comparison have the same name")
    with _progress() as progress:
        task = progress.add_task("warming up", total=(rounds + 1) * len(arms))
        for number in range(rounds + 1):
            for arm in arms if number % 2 == 0 else reversed(arms):
                progress.update(task, description=f"round {number}/{rounds}: {arm.name}", refresh=True)
                sample = arm.measure()
                if number > 0:
                    taken[arm.name].append(sample)
                progress.advance(task)
    return tuple(Series(name, tuple(samples)) for name, samples in taken.items())


def _progress() -> Progress:
    """A bar on standard error, so that standard output holds nothing but the table. It is drawn between the
    samples only: a thread that draws meanwhile takes the interpreter from the arm."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        auto_refresh=False,
    )
