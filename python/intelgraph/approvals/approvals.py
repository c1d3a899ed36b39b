"""Asks for approvals, decides on them, and uses them up.

    async with database.write() as connection:
        await approvals.consume(
            connection, approval_id=given, kind="flag.change", tenant=tenant, document=plan, by=actor
        )
        ...                                    # the act, in the same transaction: both happen, or neither

Every transition is one transaction of the database that locks the approval, goes by the rules, and writes its
entry of the ledger.
"""

import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

from intelgraph.approval_statement import DecisionWord, decision_statement
from intelgraph.approvals import entries, rules, store
from intelgraph.approvals.approval import OPEN, Approval, ApprovalState, Caller, Decision, to_us
from intelgraph.approvals.document import PlanDocument
from intelgraph.approvals.keys import GivenSignature, checked_signature, keys_of_all
from intelgraph.approvals.kinds import explanation, kind_of
from intelgraph.approvals.recount import require_borne_out
from intelgraph.approvals.request import Wanted, checked_request, require_line
from intelgraph.approvals.store import ApprovalPlace
from intelgraph.errors import FailedPrecondition
from intelgraph.provenance.actor import GATEWAY, Actor

if TYPE_CHECKING:
    from intelgraph.provenance.ledger import Act, Ledger
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database
    from intelgraph.tenants.registry import Tenant

    _Act: TypeAlias = Callable[[Connection, Approval, datetime], Awaitable[Approval]]

MOST_AWAITING: Final = 1_000
SWEEP: Final = 100
"""Approvals that one transaction lets expire."""


class Approvals:
    """The approvals of all tenants. `platform` is the tenant that administers the gateway."""

    def __init__(self, database: "Database", ledger: "Ledger", platform: "Tenant") -> None:
        self._database = database
        self._ledger = ledger
        self._platform = platform

    # -- asking ----------------------------------------------------------------------------------------

    async def request(self, tenant: "Tenant", wanted: Wanted, caller: Caller) -> Approval:
        """A new request of the caller's. Raises as `checked_request`, and for what it supersedes as `withdraw`."""
        new = checked_request(tenant, self._platform, wanted, caller.actor)
        await self._ledger.ready(2)
        async with self._database.write() as connection:
            if wanted.supersedes is not None:
                before, at = await store.locked(connection, tenant.tenant_id, wanted.supersedes)
                rules.require_same_act(before, kind=new.kind, platform=new.platform)
                await self._withdraw(connection, before, at, caller, superseded_by=new.approval_id)
            approval = await store.insert(connection, new)
            await self._tell(connection, approval, entries.requested(approval, wanted.supersedes))
        return approval

    async def withdraw(self, tenant: "Tenant", approval_id: UUID, caller: Caller) -> Approval:
        """Takes a request back. Raises PermissionDenied APPROVAL_OF_ANOTHER, and as `rules` for what is over."""

        async def act(connection: "Connection", approval: Approval, at: datetime) -> Approval:
            return await self._withdraw(connection, approval, at, caller, superseded_by=None)

        return await self._locked(tenant, approval_id, act)

    # -- deciding --------------------------------------------------------------------------------------

    async def approve(
        self,
        tenant: "Tenant",
        approval_id: UUID,
        caller: Caller,
        *,
        digest: bytes,
        reason: str = "",
        signature: GivenSignature | None = None,
    ) -> Approval:
        """Counts the caller; `digest` is that of the document which the caller has seen.

        Raises NotFound APPROVAL_NOT_FOUND, FailedPrecondition APPROVAL_OF_ANOTHER_PLAN, APPROVAL_COMPLETE,
        APPROVAL_SETTLED, APPROVAL_USED or APPROVAL_EXPIRED, PermissionDenied APPROVAL_OWN_REQUEST or
        APPROVAL_ROLE_MISSING, AlreadyExists APPROVAL_ALREADY_GIVEN, InvalidArgument APPROVAL_REQUEST_INVALID, and as
        `checked_signature`.
        """
        require_line("reason", reason, optional=True)

        async def act(connection: "Connection", approval: Approval, at: datetime) -> Approval:
            if digest != approval.digest:
                raise rules.another_plan(approval, digest)
            state = rules.approved(approval, caller, at)
            decision = await self._decided(connection, approval, "approve", caller, at, reason, signature)
            given = await store.decide(connection, approval, decision)
            await self._tell(connection, approval, entries.given(approval, decision, len(given.approvers)))
            return given if state is given.state else await store.move(connection, given, state, by=None)

        return await self._locked(tenant, approval_id, act)

    async def deny(
        self,
        tenant: "Tenant",
        approval_id: UUID,
        caller: Caller,
        *,
        reason: str,
        signature: GivenSignature | None = None,
    ) -> Approval:
        """Ends the request. A denial may be signed, and need not be: to say no must never be hard.

        Raises as `approve`.
        """
        require_line("reason", reason, optional=False)

        async def act(connection: "Connection", approval: Approval, at: datetime) -> Approval:
            state = rules.denied(approval, caller, at)
            decision = await self._decided(connection, approval, "deny", caller, at, reason, signature)
            given = await store.decide(connection, approval, decision)
            await self._tell(connection, approval, entries.denied(approval, decision))
            return await store.move(connection, given, state, by=caller.name)

        return await self._locked(tenant, approval_id, act)

    # -- using -----------------------------------------------------------------------------------------

    async def consume(
        self,
        connection: "Connection",
        *,
        approval_id: UUID | None,
        kind: str,
        tenant: "Tenant | None",
        document: Mapping[str, Any],
        by: Actor = GATEWAY,
    ) -> Approval:
        """Uses an approval up, in the transaction of the act that `by` does; without a tenant, one of the platform.

        It must be approved, not over, of this kind and tenant, and the digest of `document` (RFC 8785, SHA-256)
        must be the approved one. That enough persons approved it is counted anew, by what each of them stated and
        signed. Whoever holds a clock row calls `Ledger.ready` for one entry more beforehand; an
        act that ends a fork of the ledger ends it before this.
        Raises FailedPrecondition APPROVAL_MISSING, APPROVAL_NOT_APPROVED, APPROVAL_EXPIRED, APPROVAL_USED or
        APPROVAL_OF_ANOTHER_PLAN, NotFound APPROVAL_NOT_FOUND, and DataLoss APPROVAL_CONTRADICTED; the transaction
        must then not commit the act.
        """
        plan = PlanDocument.of(document)
        kind_of(kind).check(plan.members())
        owner = tenant if tenant is not None else self._platform
        if approval_id is None:
            raise _missing(kind, owner.name, plan, platform=tenant is None)
        approval, at = await store.locked(connection, owner.tenant_id, approval_id)
        state = rules.used(approval, at, kind=kind, platform=tenant is None, digest=plan.digest)
        require_borne_out(approval, await keys_of_all(connection, owner.tenant_id))
        await self._ledger.append_all(connection, entries.used(approval, by))
        return await store.move(connection, approval, state, by=by.subject)

    async def expire(self, limit: int = SWEEP) -> int:
        """Lets open approvals of all tenants expire whose time is over; how many, at most `limit`."""
        await self._ledger.ready(limit)
        async with self._database.write() as connection:
            over = await store.expired(connection, limit)
            for approval in over:
                await self._expire(connection, approval)
        return len(over)

    # -- reading ---------------------------------------------------------------------------------------

    async def get(self, tenant: "Tenant", approval_id: UUID) -> Approval:
        """The approval as it is now. Raises NotFound APPROVAL_NOT_FOUND."""
        async with self._database.read(tenant.tenant_id) as connection:
            return await store.get(connection, tenant.tenant_id, approval_id)

    async def page(
        self,
        tenant: "Tenant",
        *,
        states: Sequence[ApprovalState] = (),
        kind: str = "",
        before: ApprovalPlace | None = None,
        limit: int,
    ) -> Sequence[Approval]:
        """Approvals without their documents, newest first; of all states and kinds where none is named."""
        names = [state.value for state in states]
        async with self._database.read(tenant.tenant_id) as connection:
            return await store.page(
                connection, tenant.tenant_id, states=names, kind=kind, before=before, limit=limit
            )

    async def awaiting(self, tenant: "Tenant", caller: Caller, *, kind: str = "") -> Sequence[Approval]:
        """Approvals without their documents that wait for the caller to decide, the oldest `MOST_AWAITING` first."""
        async with self._database.read(tenant.tenant_id) as connection:
            found = await store.awaiting(
                connection, tenant.tenant_id, caller.name, sorted(caller.roles), kind, MOST_AWAITING
            )
        return [approval for approval in found if rules.awaits(approval, caller)]

    # -- transitions -----------------------------------------------------------------------------------

    async def _locked(self, tenant: "Tenant", approval_id: UUID, act: "_Act") -> Approval:
        """Runs `act` on the locked approval. One whose time is over expires instead, for good, and is refused."""
        await self._ledger.ready(2)
        async with self._database.write() as connection:
            approval, at = await store.locked(connection, tenant.tenant_id, approval_id)
            if approval.state not in OPEN or not rules.has_expired(approval, at):
                return await act(connection, approval, at)
            await self._expire(connection, approval)
        raise rules.expired()

    async def _withdraw(
        self,
        connection: "Connection",
        approval: Approval,
        at: datetime,
        caller: Caller,
        *,
        superseded_by: UUID | None,
    ) -> Approval:
        state = rules.withdrawn(approval, caller, at)
        await self._tell(connection, approval, entries.withdrawn(approval, caller.actor, superseded_by))
        return await store.move(connection, approval, state, by=caller.name, superseded_by=superseded_by)

    async def _expire(self, connection: "Connection", approval: Approval) -> None:
        await self._tell(connection, approval, entries.expired(approval, GATEWAY))
        await store.move(connection, approval, ApprovalState.EXPIRED, by=None)

    async def _decided(
        self,
        connection: "Connection",
        approval: Approval,
        word: DecisionWord,
        caller: Caller,
        at: datetime,
        reason: str,
        given: GivenSignature | None,
    ) -> Decision:
        statement = decision_statement(
            approval.statement_facts,
            decision=word,
            approver=caller.name,
            at_us=given.at_us if given is not None else to_us(at),
        )
        signature = await checked_signature(
            connection, approval.owner, caller, statement, given, at, must=word == "approve"
        )
        return Decision(
            caller.name, caller.actor.method, word, at, caller.machine, reason, statement, signature
        )

    async def _tell(self, connection: "Connection", approval: Approval, act: "Act") -> None:
        """Writes the entry of a transition, in its transaction; of one whose entries are owed, when it is used."""
        if not approval.owed:
            await self._ledger.append_all(connection, [act])


def _missing(kind: str, owner: str, plan: PlanDocument, *, platform: bool) -> FailedPrecondition:
    what, *_ = explanation(kind, plan.content)
    document = plan.content.decode()
    words = ["intelgraph", "--tenant", owner, "approvals", "request", kind]
    words += ["--platform"] if platform else []
    return FailedPrecondition(
        "APPROVAL_MISSING",
        f"this takes an approval of the kind {kind}: {what.removesuffix('.')}",
        fix=f"{shlex.join(words)} --reason WHY --document {shlex.quote(document)}, and once it is approved do the same"
        " with --approval ID",
        metadata={
            "kind": kind,
            "digest": plan.digest.hex(),
            "document": document,
            "platform": "true" if platform else "false",
        },
    )
