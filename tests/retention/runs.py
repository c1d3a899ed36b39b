"""Runs of retention without a wire, on logs that were given an age."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from intelgraph.operations.catalogue import Catalogue
from intelgraph.operations.operation import Operation
from intelgraph.operations.operations import Operations
from intelgraph.operations.pace import Pace
from intelgraph.operations.runner import AfterStep, Runner
from intelgraph.operations.settings import OperationSettings
from intelgraph.provenance.actor import Actor
from intelgraph.provenance.entries import EntryReader
from intelgraph.provenance.ledger import Ledger
from intelgraph.retention.progress import RetentionInput
from intelgraph.retention.run import RetentionRun
from intelgraph.storage.settings import StorageSettings
from intelgraph.tenants.registry import Tenant
from tests.temporal.world import World

ALICE = Actor("alice", "jwt")
DAY_SECONDS = 86_400


@dataclass
class Runs:
    """Retention of one gateway process."""

    world: World
    storage: StorageSettings
    batch_changes: int = 1000

    def __post_init__(self) -> None:
        world = self.world
        self.kind = RetentionRun(
            world.database,
            world.keystore,
            world.keys,
            world.unsealer,
            EntryReader(world.database, world.unsealer, world.keystore),
            batch_changes=self.batch_changes,
        )
        self.catalogue = Catalogue([self.kind])
        self.ledger = Ledger(world.keystore, world.keys)
        self.operations = Operations(world.database, self.catalogue, self.ledger)

    def runner(
        self,
        *,
        after_step: AfterStep = lambda where: None,
        holder: str = "",
        lease_seconds: float = 15,
        pace: Pace | None = None,
    ) -> Runner:
        """Another gateway's runner."""
        return Runner(
            self.world.database,
            self.catalogue,
            self.world.registry,
            self.ledger,
            OperationSettings(lease_seconds=lease_seconds),
            pace or Pace(deque()),
            holder=holder,
            after_step=after_step,
        )

    async def start(self, tenant: Tenant, *datasets: str, dry_run: bool = False) -> Operation:
        """Asks for a run."""
        return await self.operations.start(tenant, self.kind, RetentionInput(tuple(datasets), dry_run), ALICE)

    async def run(self, tenant: Tenant, *datasets: str, dry_run: bool = False) -> dict[str, Any]:
        """Runs to the end, and gives the counts by dataset."""
        operation = await self.start(tenant, *datasets, dry_run=dry_run)
        await self.hold_all(self.runner())
        return self.by_dataset(await self.ended(tenant, operation.operation_id))

    async def hold_all(self, runner: Runner) -> None:
        """Has a runner do whatever there is to do."""
        while (held := await runner.claim()) is not None:
            await runner.hold(held)

    async def ended(self, tenant: Tenant, operation_id: UUID) -> Operation:
        """The operation, which is done."""
        operation = await self.operations.get(tenant, operation_id)
        assert operation.state.value == "done", (operation.reason, operation.message)
        return operation

    def by_dataset(self, operation: Operation) -> dict[str, Any]:
        """The result, by dataset."""
        return {each["dataset"]: each for each in self.operations.result(operation)["datasets"]}

    async def age(self, tenant: Tenant, until_seq: int, days: float) -> None:
        """Has the changes up to `until_seq`, and quarantine's entries up to their time, recorded so much earlier."""
        await self.as_owner(
            tenant,
            "UPDATE entity_change_log SET recorded = recorded - interval '1 second' * $2"
            " WHERE tenant_id = $1 AND seq <= $3",
            days * DAY_SECONDS,
            until_seq,
        )

    async def as_owner(self, tenant: Tenant, statement: str, *arguments: object) -> None:
        """Executes SQL as the owner of the tables, with $1 for the tenant."""
        async with owner(self.storage, tenant) as connection:
            await connection.execute(statement, tenant.tenant_id, *arguments)


@asynccontextmanager
async def owner(
    storage: StorageSettings, tenant: Tenant
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection of the owner that sees the tenant."""
    assert storage.owner_dsn is not None
    connection = await asyncpg.connect(storage.owner_dsn.get_secret_value())
    try:
        await connection.execute(f"SET intelgraph.tenant = '{tenant.tenant_id}'")
        yield connection
    finally:
        await connection.close()
