"""Tenants and registries for the tests of contracts."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from intelgraph.contracts.registry import ContractRegistry
from intelgraph.provenance.ledger import Ledger
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import Tenant, TenantRegistry
from tests.parts.ledger import TESTER


@pytest_asyncio.fixture
async def tenant(database: Database, ledger: Ledger) -> AsyncIterator[Tenant]:
    """The tenant `acme`."""
    yield await TenantRegistry(database, ledger).create("acme", by=TESTER)


@pytest_asyncio.fixture
async def stranger(database: Database, ledger: Ledger) -> AsyncIterator[Tenant]:
    """The tenant `other`."""
    yield await TenantRegistry(database, ledger).create("other", by=TESTER)


@pytest.fixture
def contracts(database: Database, ledger: Ledger) -> ContractRegistry:
    """The registry of contracts."""
    return ContractRegistry(database, ledger)
