"""Published contracts: written once (see `publishing`), read by version, never changed.

A contract is a tenant's, of a dataset, with a version; its digest is what it says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from intelgraph.contracts.compiling import compile_contract
from intelgraph.contracts.intact import require_intact
from intelgraph.contracts.precedence import precedence
from intelgraph.errors import NotFound

if TYPE_CHECKING:
    from intelgraph._core import Contract
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
    """Finds contracts."""

    def __init__(self, database: "Database") -> None:
        self._database = database

    async def get(self, tenant: "Tenant", dataset: str, version: str = "") -> PublishedContract:
        """The contract of that version, or the newest. Raises NotFound CONTRACT_NOT_FOUND, and DataLoss
        CONTRACT_ALTERED.
        """
        async with self._database.read(tenant.tenant_id) as connection:
            return await published_contract(connection, tenant, dataset, version)

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


async def published_contract(
    connection: "Connection", tenant: "Tenant", dataset: str, version: str
) -> PublishedContract:
    """The contract of that version; the newest for an empty one. Raises NotFound CONTRACT_NOT_FOUND."""
    row = await connection.fetchrow(_BY_VERSION, tenant.tenant_id, dataset, version)
    if row is None:
        raise NotFound(
            "CONTRACT_NOT_FOUND",
            f"there is no version {version} of that contract" if version else "the dataset has no contract",
            fix="publish one with `intelgraph contract put`; `intelgraph contract list` shows what there is",
        )
    require_intact(row["document"], row["digest"], dataset, row["version"])
    return PublishedContract(**row)
