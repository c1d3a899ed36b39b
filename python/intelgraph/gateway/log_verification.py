"""Puts together what checking logs takes: the gateway's database and keys, and none of its services."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from intelgraph.contracts.registry import ContractRegistry
from intelgraph.errors import DataLoss, FailedPrecondition, IntelGraphError, PermissionDenied
from intelgraph.keys.checking import CheckingUnsealer
from intelgraph.keys.providers import open_provider
from intelgraph.keys.service import KeyService, keystore_of
from intelgraph.provenance.anchors import anchors_of
from intelgraph.provenance.entries import EntryReader
from intelgraph.provenance.ledger import Ledger
from intelgraph.storage import log_tree
from intelgraph.storage.attach import attached
from intelgraph.storage.database import Database
from intelgraph.temporal.catalogues import Catalogues
from intelgraph.temporal.verify import Finding, LogVerdict, LogVerifier
from intelgraph.tenants.registry import Tenant, TenantRegistry

if TYPE_CHECKING:
    from intelgraph.gateway.settings import Settings

_PAGE_TENANTS: Final = 100


@dataclass(frozen=True, slots=True)
class LogVerification:
    """A verifier, the anchors that it holds logs against, and the tenants whose logs there are."""

    verifier: LogVerifier
    registry: TenantRegistry
    entries: EntryReader
    database: Database
    unsealer: CheckingUnsealer

    async def verify(
        self, tenant: Tenant, progress: Callable[[int, int], None] = lambda done, last: None
    ) -> LogVerdict:
        """Checks a tenant's log against its clock row and against its anchors in the ledger. Raises as
        `LogVerifier.verify`; that its owner's keys cannot be used is a finding, for others have logs too.
        """
        anchors = await anchors_of(self.entries, tenant.tenant_id)
        try:
            verdict = await self.verifier.verify(tenant, progress, anchors)
        except (DataLoss, PermissionDenied, FailedPrecondition) as error:
            if not error.reason.startswith("KEY_"):
                raise
            return await self._not_opened(tenant, error)
        damaged = [
            Finding(error.reason, 1, verdict.seq, error.message)
            for error in self.unsealer.damaged(tenant.tenant_id).values()
        ]
        return replace(verdict, findings=(*damaged, *verdict.findings))

    async def _not_opened(self, tenant: Tenant, error: IntelGraphError) -> LogVerdict:
        async with self.database.read(tenant.tenant_id) as connection:
            head = await log_tree.tree_head(connection, tenant.tenant_id)
        finding = Finding(error.reason, 1, head.seq, f"nothing of it was checked: {error.message}")
        return LogVerdict(head.seq, 0, 0, (), None, (finding,), 0)

    async def tenants(self, name: str | None) -> AsyncIterator[Tenant]:
        """The tenant of that name, whatever its state, or all by name.

        Raises PermissionDenied TENANT_UNKNOWN.
        """
        if name is not None:
            yield await self.registry.get(name)
            return
        after = ""
        while page := await self.registry.page(after, _PAGE_TENANTS):
            for tenant in page:
                yield tenant
            after = page[-1].name


@asynccontextmanager
async def log_verification(settings: "Settings") -> AsyncIterator[LogVerification]:
    """What checks logs, for as long as the block runs. The gateway may run beside it.

    Raises FailedPrecondition where database or keyring cannot be used as the settings say, and Unavailable.
    """
    with attached(settings.storage, settings.data_dir) as storage:
        database = await Database.connect(storage)
        try:
            provider = await open_provider(settings.keys, settings.data_dir / "keys", database)
            keystore = keystore_of(settings.keys)
            keys = KeyService(keystore, provider, database, settings.keys)
            try:
                ledger = Ledger(keystore, keys)
                catalogues = Catalogues(ContractRegistry(database))
                unsealer = CheckingUnsealer(keys, keystore)
                verifier = LogVerifier(database, unsealer, catalogues, keystore)
                entries = EntryReader(database, unsealer, keystore)
                registry = TenantRegistry(database, ledger)
                yield LogVerification(verifier, registry, entries, database, unsealer)
            finally:
                await keys.close()
        finally:
            await database.close()
