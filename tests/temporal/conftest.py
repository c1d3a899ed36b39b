"""Gateways without a wire, on a database of each test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from intelgraph.storage.database import Database
from intelgraph.tenants.registry import Tenant
from tests.temporal.world import World, running


@pytest_asyncio.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    """A gateway."""
    async with running(database, tmp_path / "keys") as started:
        yield started


@pytest_asyncio.fixture
async def tenant(world: World) -> Tenant:
    """A tenant with the dataset `stations`."""
    return await world.tenant()
