"""Publishes contracts: once, and one that keeps its dataset for less long only with the consent of a second person.

    async with database.write() as connection:
        the approval is used up -> the clock row -> dataset and contract -> the ledger

What holds for the dataset is read without a lock first, since counting what would be due may take a while, and again
under the tenant's clock row: if another version was published in between, and that matters, the whole is refused.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import UUID

from intelgraph.approvals.document import PlanDocument
from intelgraph.contracts.compiling import compile_contract
from intelgraph.contracts.precedence import precedence
from intelgraph.contracts.registry import PublishedContract, published_contract
from intelgraph.contracts.retention import Due, Newest, RetentionEffect, count_due
from intelgraph.errors import Aborted, AlreadyExists, NotFound, PermissionDenied
from intelgraph.provenance.kinds.spine import ContractPublished, ContractRetentionChanged
from intelgraph.provenance.ledger import Act

if TYPE_CHECKING:
    from collections.abc import Mapping

    from intelgraph._core import Contract
    from intelgraph.approvals.approval import Approval
    from intelgraph.provenance.actor import Actor
    from intelgraph.provenance.ledger import Ledger
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database
    from intelgraph.tenants.registry import Tenant

APPROVAL_KIND: Final = "contract.shorten_retention"

DAYS_TO_ACT: Final = 1
"""How long what is asked for holds at least: the document counts what is due by then."""


class Consents(Protocol):
    """Where approvals are found, and used up; see `Approvals`."""

    async def get(self, tenant: "Tenant", approval_id: UUID) -> "Approval":
        """The approval. Raises NotFound APPROVAL_NOT_FOUND."""

    async def consume(
        self,
        connection: "Connection",
        *,
        approval_id: UUID | None,
        kind: str,
        tenant: "Tenant | None",
        document: "Mapping[str, Any]",
        by: "Actor",
    ) -> object:
        """Raises unless the approval is there, approved, and of exactly this document; without one, says how to ask."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What came of publishing."""

    contract: PublishedContract
    created: bool
    """False where the very same document was published already."""
    retention: RetentionEffect
    due: Due
    """What a run of retention would remove at once, where the version keeps for less long."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What would come of publishing a document."""

    dataset: str
    version: str
    digest: bytes
    published_us: int | None
    """When the very same document was published; None where it was not."""
    retention: RetentionEffect
    due: Due
    """As of a `Publication`, by the end of `DAYS_TO_ACT`."""
    plan: "Mapping[str, Any] | None"
    """What an approval has to say, where it takes one."""


class ContractPublisher:
    """Publishes contracts, and says beforehand what would come of it."""

    def __init__(self, database: "Database", ledger: "Ledger", approvals: Consents) -> None:
        self._database = database
        self._ledger = ledger
        self._approvals = approvals

    async def check(self, tenant: "Tenant", document: bytes) -> Prospect:
        """What would come of publishing. Raises as `publish`, but for what an approval has to do with."""
        contract = _of_tenant(tenant, document)
        async with self._database.read(tenant.tenant_id) as connection:
            same = await _same(connection, tenant, contract)
        effect = await self._effect(tenant, contract)
        due = await self._due(tenant, contract, effect, days_ahead=DAYS_TO_ACT)
        return Prospect(
            dataset=contract.dataset,
            version=contract.version,
            digest=contract.digest,
            published_us=same.published_us if same is not None else None,
            retention=effect,
            due=due,
            plan=_plan(contract, effect, due) if effect.shortens else None,
        )

    async def publish(
        self, tenant: "Tenant", document: bytes, *, by: "Actor", approval_id: UUID | None = None
    ) -> Publication:
        """Publishes a contract. One that lifts a hold, or keeps for less long, uses an approval up.

        Raises InvalidArgument CONTRACT_INVALID, PermissionDenied TENANT_MISMATCH, AlreadyExists
        CONTRACT_VERSION_PUBLISHED, FailedPrecondition APPROVAL_MISSING and as `Approvals.consume`, and Aborted
        CONTRACT_OVERTAKEN.
        """
        contract = _of_tenant(tenant, document)
        effect = await self._effect(tenant, contract)
        due = await self._due(tenant, contract, effect)
        plan = await self._consented(tenant, contract, effect, due, approval_id)
        used = approval_id if plan is not None else None
        await self._ledger.ready(3)
        async with self._database.write() as connection:
            if plan is not None:
                await self._approvals.consume(
                    connection,
                    approval_id=used,
                    kind=APPROVAL_KIND,
                    tenant=tenant,
                    document=plan,
                    by=by,
                )
            # Numbers are handed out under the clock row, as those of streams are.
            await connection.execute(_LOCK, tenant.tenant_id)
            now = RetentionEffect.of(
                contract, await Newest.of(connection, tenant.tenant_id, contract.dataset)
            )
            if now != effect and (now.shortens or effect.shortens):
                raise _overtaken(contract)
            created = await _put(connection, tenant, contract)
            published = await _same(connection, tenant, contract)
            if published is None:
                raise AssertionError("a contract that was put is there")
            if created:
                await self._ledger.append_all(connection, _acts(tenant, contract, now, due, used, by))
        return Publication(published, created, now, due)

    async def _effect(self, tenant: "Tenant", contract: "Contract") -> RetentionEffect:
        async with self._database.read(tenant.tenant_id) as connection:
            newest = await Newest.of(connection, tenant.tenant_id, contract.dataset)
        return RetentionEffect.of(contract, newest)

    async def _due(
        self, tenant: "Tenant", contract: "Contract", effect: RetentionEffect, *, days_ahead: int = 0
    ) -> Due:
        if not effect.shortens:
            return Due()
        return await count_due(
            self._database, tenant.tenant_id, contract.dataset, effect.after, days_ahead=days_ahead
        )

    async def _consented(
        self,
        tenant: "Tenant",
        contract: "Contract",
        effect: RetentionEffect,
        due: Due,
        approval_id: UUID | None,
    ) -> "Mapping[str, Any] | None":
        """The plan that the approval must be of; None where it takes none.

        More becomes due by the hour, so what was approved says the most that may be: it is gone by as long as that
        holds. Where it does not, the plan says what is due, and is not the one that was approved.
        """
        if not effect.shortens:
            return None
        if approval_id is None:  # which it is to ask for
            ahead = await self._due(tenant, contract, effect, days_ahead=DAYS_TO_ACT)
            return _plan(contract, effect, ahead)
        most = _most(await self._approvals.get(tenant, approval_id))
        allowed = Due(max(due.changes, most.changes), max(due.quarantined, most.quarantined))
        return _plan(contract, effect, allowed)


_LOCK: Final = "SELECT FROM tenant_clock WHERE tenant_id = $1 FOR UPDATE"

_DATASET: Final = """
WITH created AS (
  INSERT INTO dataset (tenant_id, dataset_id, name)
  SELECT $1, coalesce(max(dataset_id), 0) + 1, $2 FROM dataset WHERE tenant_id = $1
  ON CONFLICT (tenant_id, name) DO NOTHING
  RETURNING dataset_id
)
SELECT dataset_id FROM created
UNION ALL
SELECT dataset_id FROM dataset WHERE tenant_id = $1 AND name = $2
"""

_PUT: Final = """
INSERT INTO contract (tenant_id, contract_id, dataset_id, version, precedence, digest, document)
SELECT $1, coalesce(max(contract_id), 0) + 1, $2::int, $3::text, $4::bytea, $5::bytea, $6::bytea
FROM contract WHERE tenant_id = $1
ON CONFLICT (tenant_id, dataset_id, version) DO NOTHING
RETURNING contract_id
"""


async def _put(connection: "Connection", tenant: "Tenant", contract: "Contract") -> bool:
    """Stores the contract unless its version is there; whether it was not."""
    dataset_id = await connection.fetchval(_DATASET, tenant.tenant_id, contract.dataset)
    created = await connection.fetchval(
        _PUT,
        tenant.tenant_id,
        dataset_id,
        contract.version,
        precedence(contract.version),
        contract.digest,
        contract.document,
    )
    return created is not None


async def _same(connection: "Connection", tenant: "Tenant", contract: "Contract") -> PublishedContract | None:
    """What is published under the contract's version. Raises AlreadyExists if it says something else."""
    try:
        published = await published_contract(connection, tenant, contract.dataset, contract.version)
    except NotFound:
        return None
    if published.digest != contract.digest:
        raise AlreadyExists(
            "CONTRACT_VERSION_PUBLISHED",
            f"version {contract.version} of {contract.dataset} is published, and says something else",
            fix="publish the document under a higher version",
            metadata={"digest": published.digest.hex()},
        )
    return published


def _of_tenant(tenant: "Tenant", document: bytes) -> "Contract":
    contract = compile_contract(document)
    if contract.tenant != tenant.name:
        raise PermissionDenied(
            "TENANT_MISMATCH",
            "the contract is another tenant's",
            fix=f"set tenantId to {tenant.name}, or publish it with an identity of its tenant",
        )
    return contract


def _plan(contract: "Contract", effect: RetentionEffect, due: Due) -> "Mapping[str, Any]":
    """What an approval binds to. It says from what it leads away: a plan of yesterday's class is void."""
    return {
        "dataset": contract.dataset,
        "version": contract.version,
        "digest": contract.digest.hex(),
        "before": effect.before,
        "after": effect.after,
        "due_changes": due.changes,
        "due_quarantined": due.quarantined,
    }


def _most(approval: "Approval") -> Due:
    """The most that may be due by what was approved; nothing, where it is about another act."""
    if approval.kind != APPROVAL_KIND:
        return Due()
    said = PlanDocument.read(approval.document).members()
    return Due(said["due_changes"], said["due_quarantined"])


def _acts(
    tenant: "Tenant",
    contract: "Contract",
    effect: RetentionEffect,
    due: Due,
    approval_id: UUID | None,
    by: "Actor",
) -> list[Act]:
    subject = f"contract:{contract.dataset}@{contract.version}"
    acts = [
        Act(
            ContractPublished(contract.dataset, contract.version, contract.digest.hex(), effect.stated),
            subject,
            by,
            tenant,
        )
    ]
    if effect.changes:
        changed = ContractRetentionChanged(
            dataset=contract.dataset,
            version=contract.version,
            before=str(effect.before),
            after=effect.after,
            shortens=effect.shortens,
            due_changes=due.changes,
            due_quarantined=due.quarantined,
            approval_id=str(approval_id) if approval_id is not None else None,
        )
        acts.append(Act(changed, f"dataset:{contract.dataset}", by, tenant))
    return acts


def _overtaken(contract: "Contract") -> Aborted:
    return Aborted(
        "CONTRACT_OVERTAKEN",
        f"another version of {contract.dataset} was published meanwhile, and keeps it for another time",
        fix="see with `intelgraph contract check` what this one does now, and publish it again",
        retry_after=0.0,
    )
