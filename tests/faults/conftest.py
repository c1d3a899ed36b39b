"""How long the faults last, and the report of a full run."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.faults.gateway import GatewayProcess, postgres_apart
from tests.faults.report import Report

_REPORT: Final = Path(__file__).resolve().parents[2] / "build/faults/report.json"


@pytest.fixture(scope="session")
def report(is_full: bool) -> Iterator[Report]:
    """What the faults did and what survived."""
    collected = Report()
    yield collected
    if is_full:
        _REPORT.parent.mkdir(parents=True, exist_ok=True)
        _REPORT.write_text(json.dumps(collected.as_json(), indent=2) + "\n")


@pytest.fixture
def moments() -> random.Random:
    """Moments at which faults strike; the seed is shown where a test fails."""
    seed = time.time_ns()
    print(f"seed {seed}")  # noqa: T201 (pytest shows it with a failure)
    return random.Random(seed)  # noqa: S311 (no secret)


@pytest.fixture
def gateway(data_dir: Path) -> Iterator[GatewayProcess]:
    """A gateway with its own PostgreSQL."""
    process = GatewayProcess(data_dir)
    process.start()
    yield process
    process.end()


@pytest.fixture
def two_gateways(data_dir: Path) -> Iterator[tuple[GatewayProcess, GatewayProcess]]:
    """Two gateways on one PostgreSQL, with one keyring and one issuer of tokens."""
    with postgres_apart(data_dir) as server:
        first, second = (GatewayProcess(data_dir, server=server) for _ in range(2))
        first.start()
        second.start()
        yield first, second
        first.end()
        second.end()
