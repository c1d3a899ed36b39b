"""Published contracts: written once, read by version, never changed.

A contract is a tenant's, of a dataset, with a version; its digest is what it says. Publishing the same
document again changes nothing, and another document under a published version is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from intelgraph.contracts.compiling import compile_contract
from intelgraph.contracts.intact import require_intact
from intelgraph.contracts.precedence import precedence
from intelgraph.errors import AlreadyExists, NotFound, PermissionDenied
from intelgraph.provenance.kinds.spine import ContractPublished

if TYPE_CHECKING:
    from intelgraph._core import Contract
    from intelgraph.provenance.actor import Actor
    from intelgraph.provenance.ledger import Ledger
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database
    from intelgraph.tenants.registry import Tenant


@dataclass(frozen=True, slots=True)
class PublishedContract:
    """A contract as it is stored. The two numbers stand for it and its dataset in other tables."""

    contract_id: int
    dataset_id: int
    dataset: str
    version: str
    digest: bytes
    """SHA-256 of the document in canonical form."""
    published_us: int
    document: bytes
    """In canonical form (RFC 8785); empty in lists."""

    def compiled(self) -> "Contract":
        """The contract that records are checked against."""
        return compile_contract(self.document)


@dataclass(frozen=True, slots=True)
class ContractPlace:
    """Where a contract stands in a list: by dataset, newest version first."""

    dataset: str
    version: str


class ContractRegistry:
    """Publishes contracts and finds them."""

    def __init__(self, database: "Database", ledger: "Ledger") -> None:
        self._database = database
        self._ledger = ledger

    async def upsert(
        self, tenant: "Tenant", document: bytes, *, by: "Actor"
    ) -> tuple[PublishedContract, bool]:
        """Publishes a contract; the second value is False if the very same document was published already.

        Raises InvalidArgument CONTRACT_INVALID, PermissionDenied TENANT_MISMATCH, and AlreadyExists
        CONTRACT_VERSION_PUBLISHED; DataLoss CONTRACT_ALTERED.
        """
        contract = compile_contract(document)
        if contract.tenant != tenant.name:
            raise PermissionDenied(
                "TENANT_MISMATCH",
                "the contract is another tenant's",
                fix=f"set tenantId to {tenant.name}, or publish it with an identity of its tenant",
            )
        await self._ledger.ready()
        async with self._database.write() as connection:
            # Numbers are handed out under the clock row, as those of streams are.
            await connection.execute(_LOCK, tenant.tenant_id)
            dataset_id = await connection.fetchval(_DATASET, tenant.tenant_id, contract.dataset)
            created = await connection.fetchval(
                _PUBLISH,
                tenant.tenant_id,
                dataset_id,
                contract.version,
                precedence(contract.version),
                contract.digest,
                contract.document,
            )
            published = await _found(connection, tenant.tenant_id, contract.dataset, contract.version)
            if published.digest != contract.digest:
                raise AlreadyExists(
                    "CONTRACT_VERSION_PUBLISHED",
                    f"version {contract.version} of {contract.dataset} is published, and says something else",
                    fix="publish the document under a higher version",
                    metadata={"digest": published.digest.hex()},
                )
            if created is not None:
                facts = ContractPublished(contract.dataset, contract.version, contract.digest.hex())
                subject = f"contract:{contract.dataset}@{contract.version}"
                await self._ledger.append(connection, facts, subject=subject, by=by, tenant=tenant)
        return published, created is not None

    async def get(self, tenant: "Tenant", dataset: str, version: str = "") -> PublishedContract:
        """The contract of that version, or the newest. Raises NotFound CONTRACT_NOT_FOUND, and DataLoss
        CONTRACT_ALTERED.
        """
        async with self._database.read(tenant.tenant_id) as connection:
            return await _found(connection, tenant.tenant_id, dataset, version)

    async def page(
        self, tenant: "Tenant", dataset: str, after: ContractPlace | None, limit: int
    ) -> Sequence[PublishedContract]:
        """At most `limit` contracts that follow `after`, of one dataset or, for an empty name, of all."""
        place = (after.dataset, precedence(after.version)) if after is not None else (None, None)
        async with self._database.read(tenant.tenant_id) as connection:
            rows = await connection.fetch(_PAGE, tenant.tenant_id, dataset, *place, limit)
        return [PublishedContract(**row) for row in rows]

    async def dataset_id(self, tenant: "Tenant", dataset: str) -> int:
        """The number that stands for a dataset. Raises NotFound DATASET_NOT_FOUND."""
        async with self._database.read(tenant.tenant_id) as connection:
            found: int | None = await connection.fetchval(
                "SELECT dataset_id FROM dataset WHERE tenant_id = $1 AND name = $2", tenant.tenant_id, dataset
            )
        if found is None:
            raise NotFound(
                "DATASET_NOT_FOUND",
                "the tenant has no dataset of that name",
                fix="publish a contract of it first; `intelgraph contract list` shows what there is",
            )
        return found

    async def datasets(self, tenant: "Tenant") -> Mapping[int, str]:
        """The name of each of the tenant's datasets, by the number that rows of the log carry."""
        async with self._database.read(tenant.tenant_id) as connection:
            rows = await connection.fetch(
                "SELECT dataset_id, name FROM dataset WHERE tenant_id = $1", tenant.tenant_id
            )
        return {row["dataset_id"]: row["name"] for row in rows}

    async def digests(self, tenant: "Tenant") -> Mapping[int, bytes]:
        """The digest of each of the tenant's contracts, by the number that rows of the log carry."""
        async with self._database.read(tenant.tenant_id) as connection:
            rows = await connection.fetch(
                "SELECT contract_id, digest FROM contract WHERE tenant_id = $1", tenant.tenant_id
            )
        return {row["contract_id"]: row["digest"] for row in rows}


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

_PUBLISH: Final = """
INSERT INTO contract (tenant_id, contract_id, dataset_id, version, precedence, digest, document)
SELECT $1, coalesce(max(contract_id), 0) + 1, $2::int, $3::text, $4::bytea, $5::bytea, $6::bytea
FROM contract WHERE tenant_id = $1
ON CONFLICT (tenant_id, dataset_id, version) DO NOTHING
RETURNING contract_id
"""

_COLUMNS: Final = """
SELECT contract.contract_id, contract.dataset_id, dataset.name AS dataset, contract.version, contract.digest,
  (extract(epoch FROM contract.published_at) * 1000000)::bigint AS published_us
"""

_BY_VERSION: Final = f"""
{_COLUMNS}, contract.document
FROM dataset JOIN contract ON contract.tenant_id = $1 AND contract.dataset_id = dataset.dataset_id
WHERE dataset.tenant_id = $1 AND dataset.name = $2 AND ($3::text = '' OR contract.version = $3)
ORDER BY contract.precedence DESC LIMIT 1
"""

_PAGE: Final = f"""
{_COLUMNS}, ''::bytea AS document
FROM dataset JOIN contract ON contract.tenant_id = $1 AND contract.dataset_id = dataset.dataset_id
WHERE dataset.tenant_id = $1 AND ($2::text = '' OR dataset.name = $2)
  AND ($3::text IS NULL OR dataset.name > $3 OR dataset.name = $3 AND contract.precedence < $4::bytea)
ORDER BY dataset.name, contract.precedence DESC LIMIT $5
"""


async def _found(connection: "Connection", tenant_id: UUID, dataset: str, version: str) -> PublishedContract:
    row = await connection.fetchrow(_BY_VERSION, tenant_id, dataset, version)
    if row is None:
        raise NotFound(
            "CONTRACT_NOT_FOUND",
            f"there is no version {version} of that contract" if version else "the dataset has no contract",
            fix="publish one with `intelgraph contract put`; `intelgraph contract list` shows what there is",
        )
    require_intact(row["document"], row["digest"], dataset, row["version"])
    return PublishedContract(**row)
