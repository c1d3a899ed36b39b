"""A world for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from intelgraph.approvals.approvals import Approvals
from intelgraph.approvals.keys import ApproverKeys
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import TenantRegistry
from tests.approvals.world import World
from tests.parts.ledger import ledger_parts


@pytest_asyncio.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    """Approvals on the test's database."""
    async with ledger_parts(database, tmp_path / "keys") as parts:
        registry = TenantRegistry(database)
        platform, tenant, stranger = [await registry.create(name) for name in ("local", "acme", "other")]
        yield World(
            database=database,
            parts=parts,
            approvals=Approvals(database, parts.ledger, platform),
            keys=ApproverKeys(database, parts.ledger),
            platform=platform,
            tenant=tenant,
            stranger=stranger,
        )
