"""A gateway's policy parts on a real database, and callers of its tenants."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest_asyncio

from intelgraph.gateway.identity import Identity
from intelgraph.gateway.permissions import Permissions
from intelgraph.gateway.policy_service import PolicyParts, PolicyService
from intelgraph.policy.decisions import Decisions
from intelgraph.policy.expendable import ExpendableThreads
from intelgraph.policy.platform import platform_bundle
from intelgraph.policy.store import RulesStore
from intelgraph.policy.watch import RulesWatch
from intelgraph.provenance.ledger import Ledger
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import Tenant, TenantRegistry
from tests.parts.ledger import TESTER


@dataclass(frozen=True)
class Gateway:
    """What one process decides with."""

    parts: PolicyParts
    permissions: Permissions
    service: PolicyService


@asynccontextmanager
async def deciding(database: Database, ledger: Ledger) -> AsyncIterator[Gateway]:
    """A gateway's decisions for as long as the block runs."""
    threads = ExpendableThreads()
    decisions = Decisions(platform_bundle(), threads)
    async with RulesWatch(database, decisions, platform_bundle(), threads) as watch:
        store = RulesStore(database, ledger)
        parts = PolicyParts(platform_bundle(), store, decisions, watch, ExpendableThreads())
        yield Gateway(parts, Permissions(decisions, watch), PolicyService(parts))


@pytest_asyncio.fixture
async def gateway(database: Database, ledger: Ledger) -> AsyncIterator[Gateway]:
    """A gateway."""
    async with deciding(database, ledger) as running:
        yield running


@pytest_asyncio.fixture
async def elsewhere(database: Database, ledger: Ledger) -> AsyncIterator[Gateway]:
    """Another gateway on the same database."""
    async with deciding(database, ledger) as running:
        yield running


@pytest_asyncio.fixture
async def acme(database: Database, ledger: Ledger) -> Tenant:
    """A tenant."""
    return await TenantRegistry(database, ledger).create("acme", by=TESTER)


def caller(tenant: Tenant, *roles: str, **attributes: str) -> Identity:
    """Somebody of a tenant."""
    return Identity(tenant, "ada", frozenset(roles), float("inf"), "jwt", attributes=attributes)
