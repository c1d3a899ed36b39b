"""A world for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from intelgraph.storage.database import Database
from tests.approvals.world import World, world_on


@pytest_asyncio.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    """Approvals on the test's database."""
    async with world_on(database, tmp_path / "keys") as made:
        yield made
