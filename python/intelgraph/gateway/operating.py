"""Every kind of operation that a gateway can run, what runs them, and the services that start and show them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from intelgraph._core import Keystore
from intelgraph.contracts.registry import ContractRegistry
from intelgraph.gateway.operation_service import OperationService
from intelgraph.gateway.retention_service import RetentionService
from intelgraph.gateway.server import Service
from intelgraph.ingest.metrics import RECENT_COMMITS
from intelgraph.keys.service import KeyService
from intelgraph.keys.unsealing import Unsealer
from intelgraph.operations.catalogue import Catalogue
from intelgraph.operations.operations import Operations
from intelgraph.operations.pace import Pace
from intelgraph.operations.runner import Runner
from intelgraph.operations.settings import OperationSettings
from intelgraph.provenance.entries import EntryReader
from intelgraph.provenance.ledger import Ledger
from intelgraph.retention.run import RetentionRun
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import TenantRegistry


@asynccontextmanager
async def operating(
    settings: OperationSettings,
    database: Database,
    tenants: TenantRegistry,
    keystore: Keystore,
    keys: KeyService,
    ledger: Ledger,
) -> AsyncIterator[list[Service]]:
    """The services, and a runner for as long as the block runs; what it is at then is handed back."""
    unsealer = Unsealer(keys)
    entries = EntryReader(database, unsealer, keystore)
    retention = RetentionRun(database, keystore, keys, unsealer, entries)
    catalogue = Catalogue([retention])
    runner = Runner(database, catalogue, tenants, ledger, settings, Pace(RECENT_COMMITS))
    operations = Operations(database, catalogue, ledger, on_start=runner.wake)
    contracts = ContractRegistry(database)
    async with runner.running():
        yield [
            OperationService(operations).service(),
            RetentionService(operations, retention, contracts).service(),
        ]
