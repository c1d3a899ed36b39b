"""Operations of a kind of the tests' own, on a database of each test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from intelgraph.provenance.ledger import Ledger
from intelgraph.storage.database import Database
from intelgraph.storage.settings import StorageSettings
from intelgraph.tenants.registry import Tenant, TenantRegistry
from tests.operations.adding import Adders, Adding, owner


@pytest_asyncio.fixture
async def adders(
    database: Database, storage_settings: StorageSettings, ledger: Ledger, tmp_path: Path
) -> AsyncIterator[Adders]:
    """Operations that add rows to a table."""
    tenants = TenantRegistry(database, ledger)
    made = Adders(database, storage_settings, tenants, ledger, Adding(tmp_path / "outside"))
    async with owner(storage_settings, await tenants.ensure("maker")) as connection:
        await connection.execute("CREATE TABLE effect (operation_id uuid, number int)")
        await connection.execute("GRANT SELECT, INSERT, DELETE ON effect TO intelgraph_writer")
    yield made


@pytest_asyncio.fixture
async def tenant(adders: Adders) -> Tenant:
    """A tenant."""
    return await adders.tenants.ensure("acme")
