"""Who is told what becomes of keys, so that it is entered in the ledger."""

from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from intelgraph._core import DataKeyRow
from intelgraph.keys.provider import Wrapped

if TYPE_CHECKING:
    from intelgraph.storage.connection import Connection


class RecordedOwner(Protocol):
    """The owner of a key."""

    @property
    def tenant_id(self) -> UUID:
        """Its id."""

    @property
    def name(self) -> str:
        """Its name."""


class KeyRecorder(Protocol):
    """The ledger, as far as keys are concerned. It is sealed under the platform's keys: of those it is told when they
    can be used, and of tenants' in the transaction that commits them.
    """

    async def ready(self) -> None:
        """Before a transaction in which keys are recorded."""

    async def data_key_created(
        self, connection: "Connection", owner: RecordedOwner, created: DataKeyRow, before: DataKeyRow | None
    ) -> None:
        """A data key seals from now on, and the one before it no more."""

    async def kek_version_used(
        self, connection: "Connection", owner: RecordedOwner, provider: str, key_id: UUID, wrapped: Wrapped
    ) -> None:
        """A version of the owner's KEK wrapped its first tenant key."""

    async def platform_keys_changed(self) -> None:
        """The platform has a new key that seals."""
