"""Enters what becomes of tenants' keys, in the transactions that commit their rows. See `keys.recorder`."""

from typing import TYPE_CHECKING

from intelgraph._core import DataKeyRow
from intelgraph.errors import FailedPrecondition
from intelgraph.provenance.actor import GATEWAY
from intelgraph.provenance.kinds.spine import DataKeyCreated, DataKeyRetired, KeyringVersionCreated
from intelgraph.provenance.ledger import Act
from intelgraph.provenance.making_up import make_up

if TYPE_CHECKING:
    from uuid import UUID

    from intelgraph.keys.provider import Wrapped
    from intelgraph.keys.service import KeyOwner
    from intelgraph.provenance.ledger import Ledger
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database


class KeyEntries:
    """A `KeyRecorder`."""

    def __init__(self, ledger: "Ledger", database: "Database") -> None:
        self._ledger = ledger
        self._database = database

    async def ready(self) -> None:
        """Before a transaction in which keys are recorded. Raises as `Ledger.ready`."""
        await self._ledger.ready(2)

    async def data_key_created(
        self, connection: "Connection", owner: "KeyOwner", created: DataKeyRow, before: DataKeyRow | None
    ) -> None:
        """A data key seals from now on, and the one before it no more."""
        facts = DataKeyCreated(created.dek_id.hex(), _text(created.tenant_key_id), created.suite)
        acts = [Act(facts, f"data-key:{facts.dek_id}", GATEWAY, owner)]
        if before is not None:
            retired = DataKeyRetired(before.dek_id.hex(), facts.dek_id)
            acts.append(Act(retired, f"data-key:{retired.dek_id}", GATEWAY, owner))
        await self._ledger.append_all(connection, acts)

    async def kek_version_used(
        self, connection: "Connection", owner: "KeyOwner", provider: str, key_id: "UUID", wrapped: "Wrapped"
    ) -> None:
        """A version of the owner's KEK wrapped its first tenant key."""
        facts = KeyringVersionCreated(provider, wrapped.kek_id, wrapped.kek_version, str(key_id))
        await self._ledger.append(
            connection, facts, subject=f"kek:{wrapped.kek_id}", by=GATEWAY, tenant=owner
        )

    async def platform_keys_changed(self) -> None:
        """The platform has a key whose row is marked: it can seal its own entry now. While the ledger is forked the row
        stays marked, and the key can be used for what is done about the fork.
        """
        try:
            await make_up(self._ledger, self._database)
        except FailedPrecondition as error:
            if error.reason != "LEDGER_FORKED":
                raise


def _text(key_id: bytes) -> str:
    digits = key_id.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
