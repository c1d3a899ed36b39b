"""Gateways without a wire, whose logs can be given an age."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from intelgraph.storage.database import Database
from intelgraph.storage.settings import StorageSettings
from intelgraph.tenants.registry import Tenant
from tests.retention.runs import Runs
from tests.temporal.world import World, running


@pytest_asyncio.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    """A gateway."""
    async with running(database, tmp_path / "keys") as started:
        yield started


@pytest_asyncio.fixture
async def tenant(world: World) -> Tenant:
    """A tenant with the dataset `stations`, kept for 30 days."""
    return await world.tenant()


@pytest.fixture
def runs(world: World, storage_settings: StorageSettings) -> Runs:
    """Retention in that gateway."""
    return Runs(world, storage_settings)
