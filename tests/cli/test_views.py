"""Moments, and versions as people see them."""

from __future__ import annotations

import pytest
import typer
from rich.console import Console

from intelgraph.cli.broken_rules import sum_up
from intelgraph.cli.entity_view import change_line, diff_for_people, diff_table
from intelgraph.cli.moments import format_moment, parse_moment
from intelgraph.client import EntityDiff, Violation, ViolationReport


@pytest.mark.parametrize(
    ("text", "moment_us"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T01:00:01+01:00", 1_000_000),
        ("1970-01-01T00:00:01", 1_000_000),
        ("1970-01-02", 86_400_000_000),
        ("-5", -5),
    ],
)
def test_a_moment_is_read(text: str, moment_us: int) -> None:
    assert parse_moment(text) == moment_us


def test_what_is_no_moment_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="ISO 8601"):
        parse_moment("yesterday")


def test_a_moment_is_shown_wherever_it_lies() -> None:
    assert format_moment(1_000_000) == "1970-01-01T00:00:01Z"
    assert format_moment(2**62) == str(2**62)


CHANGES = b'[["r","/temp",39.02,37.4],["a","/gust",20],["d","/note","x"]]'


def test_changes_fit_one_line() -> None:
    assert change_line(CHANGES) == "/temp 39.02 → 37.4, +/gust 20, -/note"


def test_a_difference_is_a_table() -> None:
    console = Console(width=100, record=True, quiet=True)
    with console.capture() as captured:
        console.quiet = False
        console.print(diff_table(EntityDiff(None, None, b"[]", CHANGES, 9)))
    shown = captured.get()
    assert "/temp" in shown
    assert "39.02" in shown
    assert "37.4" in shown


@pytest.mark.parametrize("changes", [b"", b"[]"])
def test_no_difference_is_said_in_a_sentence(changes: bytes) -> None:
    assert "known" in str(diff_for_people(EntityDiff(None, None, b"[]", changes, 9)))
    assert diff_for_people(EntityDiff(None, None, b"[]", CHANGES, 9)).__class__.__name__ == "Table"


def violation(count: int, found: str) -> Violation:
    return Violation("type", "/tailnum", "/type", count, (), found, "send a string")


def test_reports_of_several_batches_add_up() -> None:
    batches = [violation(2, "null (2 times)"), violation(1, "null"), violation(30, "null (30 times)")]
    (rule,) = sum_up(ViolationReport(b"", (each,), 0) for each in batches)
    assert (rule.count, rule.found) == (33, "null")


def test_several_kinds_are_told_apart() -> None:
    batches = [violation(3, "null; string, length 1 to 3 (2 times)"), violation(4, "null (4 times)")]
    (rule,) = sum_up(ViolationReport(b"", (each,), 0) for each in batches)
    assert (rule.count, rule.found) == (7, "null (5 times); string, length 1 to 3 (2 times)")
