"""The flags of two gateways on one database, and people who approve."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from intelgraph._core import open_ledger_entry
from intelgraph.approvals.approval import Caller
from intelgraph.approvals.approvals import Approvals
from intelgraph.approvals.request import Wanted
from intelgraph.flags.changes import APPROVAL_KIND
from intelgraph.flags.registry import FlagRegistry
from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance.actor import Actor
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import Tenant
from tests.parts.ledger import LedgerParts
from tests.parts.outbox import waiting

OPERATOR = Actor("olga", "jwt")
ALICE, BOB = (Caller(Actor(name, "jwt"), frozenset({"security-officer"})) for name in ("alice", "bob"))


@dataclass(frozen=True)
class Entry:
    """An entry of the ledger, opened."""

    kind: str
    actor: str
    tenant: str | None
    facts: dict[str, Any]


@dataclass(frozen=True)
class World:
    """`here` and `there` are the flags of two gateways."""

    database: Database
    approvals: Approvals
    here: FlagRegistry
    there: FlagRegistry
    platform: Tenant
    tenant: Tenant
    parts: LedgerParts

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
        """The ledger's entries about flags that wait in the outbox, in order, opened."""
        async with self.database.write() as connection:
            rows = [entry for entry in await waiting(connection) if 110 <= entry.kind <= 119]
        entries = []
        for row in rows:
            header, _, facts, *_ = open_ledger_entry(
                self.parts.keystore,
                PLATFORM.tenant_id.bytes,
                row.entry_id.bytes,
                row.commitments,
                row.header,
                row.payload,
            )
            said = json.loads(header)
            tenant = said["tenant"]["name"] if said["tenant"] is not None else None
            entries.append(Entry(said["kind"], said["actor"]["subject"], tenant, json.loads(facts)))
        return entries
