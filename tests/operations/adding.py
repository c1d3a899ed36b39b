"""A kind of operation whose effects can be counted: rows in a table, and lines in a file outside of the database."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

import asyncpg

from intelgraph.operations.catalogue import Catalogue
from intelgraph.operations.kind import Kind, Progress, Step, Work
from intelgraph.operations.operation import Operation
from intelgraph.operations.operations import Operations
from intelgraph.operations.pace import Pace
from intelgraph.operations.runner import AfterStep, Runner
from intelgraph.operations.settings import OperationSettings
from intelgraph.provenance.actor import Actor
from intelgraph.provenance.ledger import Ledger
from intelgraph.storage.database import Database
from intelgraph.storage.settings import StorageSettings
from intelgraph.tenants.registry import Tenant, TenantRegistry

if TYPE_CHECKING:
    from intelgraph.storage.connection import Connection

ALICE = Actor("alice", "jwt")
ROWS = 3


@dataclass(frozen=True, slots=True)
class AddingInput:
    """How many rows are to be added."""

    rows: int = ROWS


@dataclass(frozen=True, slots=True)
class AddingMemory:
    """How many were, and whether the file was written."""

    rows: int = 0
    written: bool = False


Between = Callable[[], Awaitable[None]]


@dataclass
class Adding(Kind[AddingInput, AddingMemory]):
    """Adds rows one by one, then writes a line to a file; undone by taking the rows away one by one."""

    NAME: ClassVar[str] = "test.adding"
    INPUT: ClassVar[type[Any]] = AddingInput
    MEMORY: ClassVar[type[Any]] = AddingMemory
    STEPS: ClassVar[tuple[str, ...]] = ("add", "write", "take")

    file: Path
    in_step: Between | None = None
    """Awaited within each step's transaction, once its row is added."""

    def begin(self, given: AddingInput) -> AddingMemory:
        """Nothing is added yet."""
        return AddingMemory()

    async def next(self, work: Work[AddingInput, AddingMemory]) -> Step[AddingMemory] | None:
        """See `Kind`."""
        memory = work.memory
        if memory.rows < work.input.rows:

            async def add(connection: "Connection") -> AddingMemory:
                await connection.execute(
                    "INSERT INTO effect VALUES ($1, $2)", work.operation_id, memory.rows + 1
                )
                if self.in_step is not None:
                    await self.in_step()
                return replace(memory, rows=memory.rows + 1)

            return Step("add", add)
        if not memory.written:

            async def write() -> None:
                name = f"{work.operation_id}\n"
                lines = await asyncio.to_thread(self.file.read_text) if self.file.exists() else ""
                if name not in lines:  # idempotent, as whatever acts outside has to be
                    await asyncio.to_thread(self.file.write_text, lines + name)

            async def written(connection: "Connection") -> AddingMemory:
                return replace(memory, written=True)

            return Step("write", written, outside=write)
        return None

    async def undo(self, work: Work[AddingInput, AddingMemory]) -> Step[AddingMemory] | None:
        """See `Kind`."""
        memory = work.memory
        if not memory.rows:
            return None

        async def take(connection: "Connection") -> AddingMemory:
            await connection.execute(
                "DELETE FROM effect WHERE operation_id = $1 AND number = $2", work.operation_id, memory.rows
            )
            return replace(memory, rows=memory.rows - 1)

        return Step("take", take)

    def undone(self, memory: AddingMemory) -> str:
        """What stays is the file."""
        return "the rows" + ("; the line in the file stays" if memory.written else "")

    def progress(self, memory: AddingMemory) -> Progress:
        """In rows."""
        return Progress(memory.rows, ROWS)

    def result(self, memory: AddingMemory) -> dict[str, Any]:
        """How many rows."""
        return {"rows": memory.rows}


class Killed(BaseException):
    """The holder is gone, as by `kill -9`: nothing that it has not committed happens any more."""


@dataclass
class Failpoint:
    """Counts where a holder is, and ends it at the n-th place."""

    at: int
    seen: list[str] = field(default_factory=list)

    def __call__(self, where: str) -> None:
        self.seen.append(where)
        if len(self.seen) == self.at:
            raise Killed


@dataclass
class Adders:
    """Operations of the kind, and runners as of several gateways."""

    database: Database
    storage: StorageSettings
    tenants: TenantRegistry
    ledger: Ledger
    kind: Adding

    def __post_init__(self) -> None:
        self.catalogue = Catalogue([self.kind])
        self.operations = Operations(self.database, self.catalogue, self.ledger)

    def runner(
        self,
        after_step: AfterStep = lambda where: None,
        *,
        lease_seconds: float = 0.2,
        per_tenant: int = 2,
        pace: Pace | None = None,
    ) -> Runner:
        """Another gateway's."""
        settings = OperationSettings.model_construct(
            per_process=2, per_tenant=per_tenant, lease_seconds=lease_seconds
        )
        return Runner(
            self.database,
            self.catalogue,
            self.tenants,
            self.ledger,
            settings,
            pace or Pace(deque()),
            after_step=after_step,
        )

    async def start(self, tenant: Tenant, **options: Any) -> Operation:
        """Asks for one."""
        return await self.operations.start(tenant, self.kind, AddingInput(), ALICE, **options)

    async def finish(self, tenant: Tenant, operation_id: UUID, runner: Runner | None = None) -> Operation:
        """Has other gateways go on, as soon as leases allow, until it is at its end."""
        runner = runner or self.runner()
        async with asyncio.timeout(20):
            while True:
                if (held := await runner.claim()) is not None:
                    await runner.hold(held)
                operation = await self.operations.get(tenant, operation_id)
                if operation.state.is_final:
                    return operation
                await asyncio.sleep(0.02)

    async def effects(self, operation_id: UUID) -> list[int]:
        """The rows that it added."""
        async with self.database.write() as connection:
            rows = await connection.fetch(
                "SELECT number FROM effect WHERE operation_id = $1 ORDER BY number", operation_id
            )
        return [row["number"] for row in rows]

    async def journal(self, operation_id: UUID) -> list[tuple[int, str, str]]:
        """Its journal: number, step and phase."""
        async with self.database.write() as connection:
            rows = await connection.fetch(
                "SELECT number, step, phase FROM operation_step WHERE operation_id = $1"
                " ORDER BY number, phase",
                operation_id,
            )
        return [(row["number"], row["step"], row["phase"]) for row in rows]

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
