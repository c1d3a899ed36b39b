"""Opens what waits in quarantine, under the tenant's keys."""

from typing import TYPE_CHECKING

from intelgraph._core import Keystore, keys_of_values, open_quarantine
from intelgraph.contracts.quarantine import OpenedEntry, SealedEntry

if TYPE_CHECKING:
    from intelgraph.keys.unsealing import Unsealer
    from intelgraph.tenants.registry import Tenant


class QuarantineOpener:
    """An `Opener` with the keys of this process."""

    def __init__(self, keystore: Keystore, unsealer: "Unsealer") -> None:
        self._keystore = keystore
        self._unsealer = unsealer

    async def open_quarantine(self, tenant: "Tenant", sealed: SealedEntry) -> OpenedEntry:
        """See `Opener`. Raises DataLoss DATA_CORRUPT, and as `KeyService.authorise`."""
        records = [(record.fingerprint, record.sealed) for record in sealed.records]
        report, documents = await self._unsealer.run(
            tenant,
            keys_of_values([sealed.report, *(value for _, value in records)]),
            lambda: open_quarantine(
                self._keystore,
                tenant.tenant_id.bytes,
                sealed.dataset,
                sealed.quarantine_id.bytes,
                sealed.report,
                records,
            ),
        )
        return OpenedEntry(report, documents)
