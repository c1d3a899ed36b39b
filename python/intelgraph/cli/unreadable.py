"""Lines of a file that hold no record, counted by what is wrong with them."""

from __future__ import annotations

from typing import Final

_FIRST_LINES: Final = 5


class Unreadable:
    """Counts lines that could not be read and remembers the first of each problem, never their content."""

    def __init__(self) -> None:
        self._lines: dict[str, list[int]] = {}
        self._counts: dict[str, int] = {}

    def add(self, line: int, problem: str) -> None:
        """Counts a line; lines are numbered from 1."""
        self._counts[problem] = self._counts.get(problem, 0) + 1
        first = self._lines.setdefault(problem, [])
        if len(first) < _FIRST_LINES:
            first.append(line)

    @property
    def total(self) -> int:
        """Number of lines."""
        return sum(self._counts.values())

    @property
    def problems(self) -> dict[str, tuple[int, tuple[int, ...]]]:
        """For each problem, how often it occurred and the first lines it occurred on."""
        return {problem: (self._counts[problem], tuple(self._lines[problem])) for problem in self._counts}


def count_of_lines(count: int) -> str:
    """The subject of a sentence about what lines hold, with its verb."""
    return "1 line holds" if count == 1 else f"{count:,} lines hold"
