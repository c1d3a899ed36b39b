"""Data keys to open with: loaded from their rows when a value names one that is not at hand."""

from typing import TYPE_CHECKING, Final

from intelgraph._core import Keystore, KeyUnavailable
from intelgraph.keys import key_rows
from intelgraph.keys.custody import Custody
from intelgraph.keys.key_rows import row_corrupt
from intelgraph.keys.leases import Leases
from intelgraph.keys.refusals import key_unavailable

if TYPE_CHECKING:
    from intelgraph.storage.database import Database

DEK_ID_BYTES: Final = 32


class OpenKeys:
    """Loads data keys into the keystore, under the tenant's lease."""

    def __init__(self, keystore: Keystore, database: "Database", leases: Leases) -> None:
        self._keystore = keystore
        self._database = database
        self._leases = leases

    async def load(self, custody: Custody, dek_ids: bytes) -> bytes:
        """Loads those of these data keys (32 bytes each) that are not; gives those that do not exist.

        One query for all, and at most one KMS call for the tenant keys that wrap them. What does not exist is
        not looked for again for 30 s. Raises as `Leases.establish`.
        """
        try:
            if self._keystore.missing_deks(custody.core_id, dek_ids):
                async with custody.loading:
                    await self._load(custody, self._keystore.missing_deks(custody.core_id, dek_ids))
            return self._keystore.absent_deks(custody.core_id, dek_ids)
        except KeyUnavailable as error:
            raise key_unavailable() from error

    async def _load(self, custody: Custody, missing: bytes) -> None:
        wanted = [missing[at : at + DEK_ID_BYTES] for at in range(0, len(missing), DEK_ID_BYTES)]
        if not wanted:
            return
        async with self._database.read(custody.tenant_id) as connection:
            rows = await key_rows.data_keys(connection, custody.tenant_id, wanted)
        await self._leases.load_tenant_keys(custody, {row.tenant_key_id for row in rows})
        for dek_id, why in self._keystore.load_deks(rows):
            raise row_corrupt("data_key", dek_id, why)
        absent = {*wanted} - {row.dek_id for row in rows}
        self._keystore.note_absent_deks(custody.core_id, b"".join(absent))
