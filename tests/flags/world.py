"""The flags of two gateways on one database, and people who approve."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from intelgraph.approvals.approval import Caller
from intelgraph.approvals.approvals import Approvals
from intelgraph.approvals.request import Wanted
from intelgraph.flags.changes import APPROVAL_KIND
from intelgraph.flags.registry import FlagRegistry
from intelgraph.provenance.actor import Actor
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import Tenant
from tests.approvals.world import Entry
from tests.approvals.world import World as ApprovalsWorld

OPERATOR = Actor("olga", "jwt")
ALICE, BOB = (Caller(Actor(name, "jwt"), frozenset({"security-officer"})) for name in ("alice", "bob"))


@dataclass(frozen=True)
class World:
    """`here` and `there` are the flags of two gateways."""

    database: Database
    approvals: Approvals
    here: FlagRegistry
    there: FlagRegistry
    platform: Tenant
    tenant: Tenant
    ledger: ApprovalsWorld

    async def approved(self, document: dict[str, Any], *, platform: bool = False) -> UUID:
        """An approval of a change, which Alice has asked for and Bob has approved."""
        owner = self.platform if platform else self.tenant
        wanted = Wanted(
            kind=APPROVAL_KIND,
            document=json.dumps(document).encode(),
            reason="the producer is being mended",
            platform=platform,
        )
        asked = await self.approvals.request(owner, wanted, ALICE)
        given = await self.approvals.approve(owner, asked.approval_id, BOB, digest=asked.digest)
        return given.approval_id

    async def told(self) -> list[Entry]:
        """The ledger's entries about flags."""
        return [entry for entry in await self.ledger.told() if entry.subject.startswith("flag:")]
