"""Tenants and registries for the tests of contracts."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from intelgraph.approvals.approvals import Approvals
from intelgraph.contracts.publishing import ContractPublisher
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
def contracts(database: Database) -> ContractRegistry:
    """The registry of contracts."""
    return ContractRegistry(database)


@pytest_asyncio.fixture
async def approvals(database: Database, ledger: Ledger) -> Approvals:
    """The approvals of all tenants."""
    return Approvals(database, ledger, await TenantRegistry(database, ledger).create("local", by=TESTER))


@pytest.fixture
def publisher(database: Database, ledger: Ledger, approvals: Approvals) -> ContractPublisher:
    """What publishes contracts."""
    return ContractPublisher(database, ledger, approvals)
