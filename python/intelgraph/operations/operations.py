"""Asks for operations, reads them, follows them and cancels them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

from intelgraph.errors import AlreadyExists, FailedPrecondition, NotFound
from intelgraph.operations import rows
from intelgraph.operations.stored import from_stored, to_stored
from intelgraph.provenance.kinds.operations import OperationCancelled, OperationFinished, OperationStarted
from intelgraph.provenance.ledger import Act

if TYPE_CHECKING:
    from intelgraph.operations.catalogue import AnyKind, Catalogue
    from intelgraph.operations.operation import Operation, OperationState
    from intelgraph.operations.rows import OperationPlace
    from intelgraph.provenance.actor import Actor
    from intelgraph.provenance.ledger import Ledger
    from intelgraph.storage.database import Database
    from intelgraph.tenants.registry import Tenant

WATCH_SECONDS: Final = 0.3
"""How often an operation that is followed is looked at."""
NOTHING_UNDONE: Final = "nothing had begun"


class Operations:
    """Operations of any tenant. Whoever runs them is woken by `on_start`."""

    def __init__(
        self,
        database: "Database",
        catalogue: "Catalogue",
        ledger: "Ledger",
        on_start: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._ledger = ledger
        self._on_start = on_start

    async def start(
        self,
        tenant: "Tenant",
        kind: "AnyKind",
        given: Any,
        by: "Actor",
        *,
        deadline_seconds: float | None = None,
    ) -> "Operation":
        """A new operation, which some gateway begins with soon.

        Raises AlreadyExists OPERATION_UNDER_WAY for a kind of which a tenant has one at a time.
        """
        operation_id, stored = uuid4(), to_stored(given)
        new = rows.NewOperation(
            operation_id=operation_id,
            kind=kind.NAME,
            exclusive=kind.EXCLUSIVE,
            input=stored,
            memory=to_stored(kind.begin(given)),
            created_by=by.subject,
            created_method=by.method,
            deadline_seconds=deadline_seconds,
        )
        await self._ledger.ready()
        async with self._database.write() as connection:
            operation = await rows.add(connection, tenant.tenant_id, new)
            if operation is None:
                raise _under_way(kind.NAME, await rows.open_one(connection, tenant.tenant_id, kind.NAME))
            await self._ledger.append(
                connection,
                OperationStarted(kind.NAME, str(operation_id), stored),
                subject=f"operation:{operation_id}",
                by=by,
                tenant=tenant,
            )
        self._on_start()
        return operation

    async def get(self, tenant: "Tenant", operation_id: UUID) -> "Operation":
        """An operation. Raises NotFound OPERATION_NOT_FOUND."""
        async with self._database.read(tenant.tenant_id) as connection:
            operation = await rows.get(connection, tenant.tenant_id, operation_id)
        if operation is None:
            raise _not_found(operation_id)
        return operation

    async def page(
        self,
        tenant: "Tenant",
        *,
        kind: str,
        states: Sequence["OperationState"],
        before: "OperationPlace | None",
        limit: int,
    ) -> Sequence["Operation"]:
        """At most `limit` operations older than `before`, newest first; no kind and no state mean all."""
        async with self._database.read(tenant.tenant_id) as connection:
            return await rows.page(
                connection, tenant.tenant_id, kind=kind, states=states, before=before, limit=limit
            )

    async def watch(
        self,
        tenant: "Tenant",
        operation_id: UUID,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> AsyncIterator["Operation"]:
        """The operation now, and whenever it has changed, to its end. Raises NotFound OPERATION_NOT_FOUND."""
        seen: Operation | None = None
        while seen is None or not seen.state.is_final:
            operation = await self.get(tenant, operation_id)
            if operation != seen:
                seen = operation
                yield operation
            else:
                await sleep(WATCH_SECONDS)

    async def cancel(self, tenant: "Tenant", operation_id: UUID, by: "Actor") -> "Operation":
        """Has an operation cancelled; the second time changes nothing.

        Raises NotFound OPERATION_NOT_FOUND, FailedPrecondition OPERATION_ENDED.
        """
        await self._ledger.ready(2)
        async with self._database.write() as connection:
            operation = await rows.cancel(
                connection, tenant.tenant_id, operation_id, by.subject, NOTHING_UNDONE
            )
            if operation is not None:
                await self._ledger.append_all(connection, _cancelled(operation, by, tenant))
            else:
                operation = await rows.get(connection, tenant.tenant_id, operation_id)
        if operation is None:
            raise _not_found(operation_id)
        if operation.cancelled_by is None:
            raise FailedPrecondition(
                "OPERATION_ENDED",
                f"the operation is {operation.state.value} already",
                fix="`intelgraph operations show` says what it did",
            )
        self._on_start()
        return operation

    def result(self, operation: "Operation") -> Any:
        """What the operation found or did so far, as JSON; empty for a kind that this gateway does not know."""
        kind = self._catalogue.named(operation.kind)
        return {} if kind is None else kind.result(from_stored(kind.MEMORY, operation.memory))


def finished_act(operation: "Operation", by: "Actor", tenant: "Tenant") -> Act:
    """What the ledger is told of an operation that is at its end."""
    facts = OperationFinished(
        operation.kind,
        str(operation.operation_id),
        operation.state.value,
        operation.steps,
        operation.done,
        operation.reason,
        operation.undone,
    )
    return Act(facts, f"operation:{operation.operation_id}", by, tenant)


def _cancelled(operation: "Operation", by: "Actor", tenant: "Tenant") -> list[Act]:
    facts = OperationCancelled(operation.kind, str(operation.operation_id), operation.steps)
    acts = [Act(facts, f"operation:{operation.operation_id}", by, tenant)]
    return [*acts, finished_act(operation, by, tenant)] if operation.state.is_final else acts


def _not_found(operation_id: UUID) -> NotFound:
    return NotFound(
        "OPERATION_NOT_FOUND",
        f"the tenant has no operation {operation_id}",
        fix="`intelgraph operations list` shows what there is",
    )


def _under_way(kind: str, operation_id: UUID | None) -> AlreadyExists:
    return AlreadyExists(
        "OPERATION_UNDER_WAY",
        f"the tenant has an operation of the kind {kind} that is not at its end, and may have one at a time",
        fix="wait for it with `intelgraph operations watch`, or cancel it",
        metadata={} if operation_id is None else {"operation_id": str(operation_id)},
    )
