"""Opens what a check of all that is stored opens: a damaged key row must not keep it from looking at the rest."""

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from intelgraph._core import Keystore
from intelgraph.errors import DataLoss
from intelgraph.keys.open_keys import DEK_ID_BYTES
from intelgraph.keys.service import KeyOwner
from intelgraph.keys.unsealing import OpeningKeys, Unsealer

T = TypeVar("T")


class CheckingUnsealer(Unsealer):
    """An `Unsealer` that takes a data key whose row is damaged for one that does not exist, and remembers it: what it
    sealed is then refused by the core, value by value, and everything else opens.
    """

    def __init__(self, keys: OpeningKeys, keystore: Keystore) -> None:
        super().__init__(keys)
        self._keystore = keystore
        self._damaged: dict[tuple[UUID, str], DataLoss] = {}

    async def run(self, tenant: KeyOwner, dek_ids: bytes, work: Callable[[], T]) -> T:
        """See `Unsealer.run`. Raises DataLoss KEY_ROW_CORRUPT only for keys above data keys."""
        for _ in range(len(dek_ids) // DEK_ID_BYTES):
            try:
                return await super().run(tenant, dek_ids, work)
            except DataLoss as error:
                if error.metadata.get("table") != "data_key":
                    raise
                key_id = error.metadata["key_id"]
                self._damaged[tenant.tenant_id, key_id] = error
                self._keystore.note_absent_deks(tenant.tenant_id.bytes, bytes.fromhex(key_id))
        return await super().run(tenant, dek_ids, work)

    def damaged(self, owner_id: UUID) -> dict[str, DataLoss]:
        """The owner's data keys whose rows were found damaged, by their ids."""
        return {key_id: error for (owner, key_id), error in self._damaged.items() if owner == owner_id}
