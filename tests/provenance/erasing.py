"""An erasure as it is done: asked for by one person, approved by another."""

import json
from typing import Final
from uuid import UUID

from intelgraph.approvals.approval import Caller
from intelgraph.approvals.approvals import Approvals
from intelgraph.approvals.request import Wanted
from intelgraph.errors import FailedPrecondition
from intelgraph.keys.unsealing import Unsealer
from intelgraph.provenance.actor import Actor
from intelgraph.provenance.entries import EntryReader
from intelgraph.provenance.erasure import erase
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import Tenant
from tests.parts.ledger import LedgerParts

OFFICERS: Final = frozenset({"security-officer"})
ALICE: Final = Caller(Actor("alice", "jwt"), OFFICERS)
BOB: Final = Caller(Actor("bob", "jwt"), OFFICERS)
REASON: Final = "asked for by its subject"


class Eraser:
    """Alice, who erases, and Bob, who approves."""

    def __init__(self, database: Database, parts: LedgerParts, platform: Tenant) -> None:
        self.approvals = Approvals(database, parts.ledger, platform)
        self._database = database
        self._parts = parts
        self._platform = platform

    async def approval(self, index: int) -> UUID:
        """One of the erasure of that entry."""
        try:
            await self.erase(index, None)
        except FailedPrecondition as refused:
            if refused.reason != "APPROVAL_MISSING":
                raise
            document = refused.metadata["document"].encode()
        assert json.loads(document)["index"] == index
        wanted = Wanted("ledger.erase", document, REASON, platform=True)
        asked = await self.approvals.request(self._platform, wanted, ALICE)
        await self.approvals.approve(self._platform, asked.approval_id, BOB, digest=asked.digest)
        return asked.approval_id

    async def erase(self, index: int, approval_id: UUID | None, reason: str = REASON) -> None:
        """Erases it."""
        reader = EntryReader(self._database, Unsealer(self._parts.keys), self._parts.keystore)
        await erase(
            self._database,
            self._parts.ledger,
            reader,
            self.approvals,
            index=index,
            reason=reason,
            approval_id=approval_id,
            by=ALICE.actor,
        )
