"""A world for each test."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest_asyncio

from intelgraph.approvals.approvals import Approvals
from intelgraph.flags.registry import FlagRegistry
from intelgraph.storage.database import Database
from intelgraph.storage.settings import StorageSettings
from intelgraph.tenants.registry import TenantRegistry
from tests.flags.world import World
from tests.parts.ledger import TESTER, ledger_parts


@pytest_asyncio.fixture
async def world(
    database: Database, storage_settings: StorageSettings, tmp_path: Path
) -> AsyncIterator[World]:
    """Two gateways on the test's database."""
    async with AsyncExitStack() as opened:
        parts = await opened.enter_async_context(ledger_parts(database, tmp_path / "keys"))
        registry = TenantRegistry(database, parts.ledger)
        platform, tenant, _ = [await registry.create(name, by=TESTER) for name in ("local", "acme", "other")]
        approvals = Approvals(database, parts.ledger, platform)
        elsewhere = await Database.connect(storage_settings)
        opened.push_async_callback(elsewhere.close)
        yield World(
            database=database,
            approvals=approvals,
            here=await opened.enter_async_context(FlagRegistry(database, parts.ledger, approvals)),
            there=await opened.enter_async_context(FlagRegistry(elsewhere, parts.ledger, approvals)),
            platform=platform,
            tenant=tenant,
            parts=parts,
        )
