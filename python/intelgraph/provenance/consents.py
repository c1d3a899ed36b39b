"""What of the one mechanism of approvals the ledger's own acts take."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

if TYPE_CHECKING:
    from intelgraph.provenance.actor import Actor
    from intelgraph.storage.connection import Connection


class PlatformConsents(Protocol):
    """Approvals of acts that concern the platform; see `Approvals`."""

    async def consume(
        self,
        connection: "Connection",
        *,
        approval_id: UUID | None,
        kind: str,
        tenant: None,
        document: Mapping[str, object],
        by: "Actor",
    ) -> object:
        """Uses the approval up. Raises FailedPrecondition with a reason that begins with APPROVAL."""

    async def void_open(self, connection: "Connection", by: "Actor") -> int:
        """Has every approval that is open or approved hold no more; how many there were."""
