"""Operations at 80 columns: a run that only says what it would do is not taken for one that did nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest
from rich.console import Console, RenderableType

from intelgraph.cli.operation_view import ending, facts, table
from intelgraph.client import LongOperation, OperationState

RUN = LongOperation(
    operation_id=UUID(int=7),
    kind="retention.run",
    state=OperationState.DONE,
    input={"datasets": [], "dry_run": False},
    result={"datasets": []},
    created_us=1_700_000_000_123_456,
    created_by="olga",
    deadline_us=0,
    started_us=1_700_000_000_123_456,
    updated_us=1_700_000_001_123_456,
    finished_us=1_700_000_001_123_456,
    holder="",
    step="count",
    steps=3,
    done=60_000,
    total=60_000,
    rate=0.0,
    remaining_seconds=None,
    yielding=False,
    attempts=0,
    cancelled_by="",
    reason="",
    message="",
    undone="",
)
DRY = replace(RUN, input={"datasets": [], "dry_run": True}, done=0)


def shown(view: RenderableType) -> str:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(view)
    assert max(map(len, captured.get().splitlines())) <= 80
    return " ".join(captured.get().split())


@pytest.mark.parametrize("view", [lambda run: table([run]), facts, ending], ids=["list", "show", "ending"])
def test_a_dry_run_says_that_it_was_one_and_what_would_go(
    view: Callable[[LongOperation], RenderableType],
) -> None:
    text = shown(view(DRY))
    assert "dry run" in text
    assert "60,000" in text
    assert "would go" in text
    assert "0/60,000" not in text


def test_one_that_still_counts_says_so() -> None:
    counting = replace(DRY, state=OperationState.RUNNING, done=20_000, total=None)
    text = shown(table([counting]))
    assert "20,000" in text
    assert "counted" in text


def test_a_run_says_what_it_did() -> None:
    assert shown(ending(RUN)) == "retention.run is done: 60,000/60,000"
    assert "dry run" not in shown(table([RUN]))
