"""Fixtures of the tests of keys."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from intelgraph.keys import kms, service
from intelgraph.keys.settings import KeySettings
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import Tenant, TenantRegistry
from tests.keys.gateway import Gateway, gateway
from tests.parts.ledger import TESTER, ledger_parts

StartGateway = Callable[..., Awaitable[Gateway]]


@pytest.fixture
def key_directory(tmp_path: Path) -> Path:
    """Where gateways of a test have their keyring."""
    return tmp_path / "keys"


@pytest_asyncio.fixture
async def tenant(database: Database, key_directory: Path) -> Tenant:
    """A tenant that nobody used yet."""
    return await _created(database, key_directory, "acme")


@pytest_asyncio.fixture
async def other_tenant(database: Database, key_directory: Path) -> Tenant:
    """Another one."""
    return await _created(database, key_directory, "other")


async def _created(database: Database, key_directory: Path, name: str) -> Tenant:
    """A tenant by whose creation no keys are held in this process."""
    async with ledger_parts(database, key_directory) as parts:
        return await TenantRegistry(database, parts.ledger).create(name, by=TESTER)


@pytest_asyncio.fixture
async def start(database: Database, key_directory: Path) -> AsyncIterator[StartGateway]:
    """Starts gateways on the same database and keyring; `start(lease_seconds=…)` takes settings unchecked, so
    that leases can be shorter than a gateway allows.
    """
    async with AsyncExitStack() as running:

        async def started(**changes: object) -> Gateway:
            settings = KeySettings().model_copy(update=changes)
            return await running.enter_async_context(gateway(database, key_directory, settings))

        yield started


@pytest.fixture
def quick_upkeep(monkeypatch: pytest.MonkeyPatch) -> None:
    """For leases of a second: upkeep every 20 ms, and no second attempt within one call of the KMS."""
    monkeypatch.setattr(service, "UPKEEP_SECONDS", 0.02)
    monkeypatch.setattr(kms, "ATTEMPTS", 1)
