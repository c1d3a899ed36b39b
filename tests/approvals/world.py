"""Tenants, people and a ledger, on a real database, for the tests of approvals."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from intelgraph._core import open_ledger_entry
from intelgraph.approvals.approval import Approval, ApprovalState, Caller
from intelgraph.approvals.approvals import Approvals
from intelgraph.approvals.keys import ApproverKeys
from intelgraph.approvals.request import DEFAULT_LIFETIME, Wanted
from intelgraph.flags.registry import FlagRegistry
from intelgraph.gateway.share_reach import ShareReach
from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance.actor import Actor
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import Tenant, TenantRegistry
from tests.parts.ledger import TESTER, LedgerParts, ledger_parts
from tests.parts.outbox import waiting

OFFICER = "security-officer"
PLAN = {"summary": "rotate the root key", "steps": ["take it from the safe", "sign with it"]}


def person(name: str, *roles: str, method: str = "jwt", machine: bool = False) -> Caller:
    """Somebody, by default a security officer."""
    actor = Actor(name, "mtls" if method == "mtls" else "jwt")
    return Caller(actor, frozenset(roles or (OFFICER,)), machine)


ALICE, BOB, CAROL, DAN = (person(name) for name in ("alice", "bob", "carol", "dan"))


@dataclass(frozen=True)
class Entry:
    """An entry of the ledger that waits in the outbox, opened."""

    kind: str
    actor: str
    tenant: str | None
    subject: str
    facts: dict[str, Any]


@asynccontextmanager
async def world_on(database: Database, key_directory: Path) -> AsyncIterator["World"]:
    """A world for as long as the block runs."""
    async with ledger_parts(database, key_directory) as parts:
        registry = TenantRegistry(database, parts.ledger)
        platform, tenant, stranger = [
            await registry.create(name, by=TESTER) for name in ("local", "acme", "other")
        ]
        approvals = Approvals(database, parts.ledger, platform)
        yield World(
            database=database,
            parts=parts,
            approvals=approvals,
            keys=ApproverKeys(database, parts.ledger, approvals),
            platform=platform,
            tenant=tenant,
            stranger=stranger,
            tenants=registry,
            reach=ShareReach(FlagRegistry(database, parts.ledger, approvals), registry),
        )


@dataclass(frozen=True)
class World:
    """A gateway's approvals, two tenants, and the one that administers them."""

    database: Database
    parts: LedgerParts
    approvals: Approvals
    keys: ApproverKeys
    platform: Tenant
    tenant: Tenant
    stranger: Tenant
    tenants: TenantRegistry
    reach: ShareReach

    async def requested(
        self,
        by: Caller = ALICE,
        *,
        quorum: int = 1,
        plan: dict[str, Any] | None = None,
        lifetime: timedelta = DEFAULT_LIFETIME,
        tenant: Tenant | None = None,
        platform: bool = False,
        supersedes: UUID | None = None,
    ) -> Approval:
        """A request for an act by hand."""
        wanted = Wanted(
            kind="manual.act",
            document=json.dumps(plan or PLAN).encode(),
            reason="the root key is old",
            ticket="SEC-7",
            role=OFFICER,
            quorum=quorum,
            lifetime=lifetime,
            platform=platform,
            supersedes=supersedes,
        )
        return await self.approvals.request(
            tenant or (self.platform if platform else self.tenant), wanted, by
        )

    async def approve(self, approval: Approval, by: Caller = BOB) -> Approval:
        """Approves without a signature."""
        return await self.approvals.approve(
            self.tenant if not approval.platform else self.platform,
            approval.approval_id,
            by,
            digest=approval.digest,
        )

    async def approved(self, **how: Any) -> Approval:
        """A request of Alice's that Bob has approved."""
        return await self.approve(await self.requested(**how))

    async def use(self, approval: Approval, plan: dict[str, Any] | None = None) -> Approval:
        """Uses it up, in a transaction of its own."""
        async with self.database.write() as connection:
            return await self.approvals.consume(
                connection,
                approval_id=approval.approval_id,
                kind="manual.act",
                tenant=None if approval.platform else self.tenant,
                document=plan or PLAN,
                by=ALICE.actor,
            )

    async def state(self, approval: Approval) -> ApprovalState:
        """Where it stands now."""
        tenant = self.platform if approval.platform else self.tenant
        return (await self.approvals.get(tenant, approval.approval_id)).state

    async def told(self, approval: Approval | None = None) -> list[Entry]:
        """The entries about approvals and keys of approvers, in order; of one approval, or all."""
        async with self.database.write() as connection:
            rows = await waiting(connection)
        entries = []
        for row in rows:
            opened = open_ledger_entry(
                self.parts.keystore,
                PLATFORM.tenant_id.bytes,
                row.entry_id.bytes,
                row.commitments,
                row.header,
                row.payload,
            )
            header, facts = json.loads(opened[0]), json.loads(opened[2])
            tenant = header["tenant"]["name"] if header["tenant"] is not None else None
            if header["kind"].startswith("appro"):
                actor = header["actor"]["subject"]
                entries.append(Entry(header["kind"], actor, tenant, header["subject"], facts))
        if approval is None:
            return entries
        return [entry for entry in entries if entry.subject == f"approval:{approval.approval_id}"]
