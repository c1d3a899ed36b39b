"""Tenants and registries for the tests of contracts."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from intelgraph.contracts.registry import ContractRegistry
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import Tenant, TenantRegistry


@pytest_asyncio.fixture
async def tenant(database: Database) -> AsyncIterator[Tenant]:
    """The tenant `acme`."""
    yield await TenantRegistry(database).create("acme")


@pytest_asyncio.fixture
async def stranger(database: Database) -> AsyncIterator[Tenant]:
    """The tenant `other`."""
    yield await TenantRegistry(database).create("other")


@pytest.fixture
def contracts(database: Database) -> ContractRegistry:
    """The registry of contracts."""
    return ContractRegistry(database)
