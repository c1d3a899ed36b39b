"""The names of datasets and the digests of contracts that rows of the log refer to by number."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from intelgraph._core import Catalogue

if TYPE_CHECKING:
    from intelgraph.tenants.registry import Tenant


class Names(Protocol):
    """Where they are kept; see `ContractRegistry`."""

    async def datasets(self, tenant: "Tenant") -> Mapping[int, str]:
        """Names of the tenant's datasets by number."""

    async def digests(self, tenant: "Tenant") -> Mapping[int, bytes]:
        """Digests of the tenant's contracts by number."""

    async def dataset_id(self, tenant: "Tenant", dataset: str) -> int:
        """The number of a dataset. Raises NotFound DATASET_NOT_FOUND."""


@dataclass(frozen=True, slots=True)
class _Kept:
    catalogue: Catalogue
    dataset_ids: Mapping[str, int]


class Catalogues:
    """Remembers each tenant's names. They are only ever added to, so what is remembered stays right."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._kept: dict[UUID, _Kept] = {}

    async def current(self, tenant: "Tenant") -> Catalogue:
        """The tenant's catalogue, read anew."""
        return (await self._read(tenant)).catalogue

    async def covering(self, tenant: "Tenant", *answers: bytes) -> Catalogue:
        """The tenant's catalogue, read anew if rows, of eleven fields, name what it lacks."""
        kept = self._kept.get(tenant.tenant_id)
        if kept is None or not all(map(kept.catalogue.covers, answers)):
            kept = await self._read(tenant)
        return kept.catalogue

    async def dataset_id(self, tenant: "Tenant", dataset: str) -> int:
        """The number that stands for a dataset. Raises NotFound DATASET_NOT_FOUND."""
        kept = self._kept.get(tenant.tenant_id)
        if kept is None or dataset not in kept.dataset_ids:
            kept = await self._read(tenant)
        known = kept.dataset_ids.get(dataset)
        return known if known is not None else await self._names.dataset_id(tenant, dataset)

    async def _read(self, tenant: "Tenant") -> _Kept:
        datasets = await self._names.datasets(tenant)
        catalogue = Catalogue(datasets, await self._names.digests(tenant))
        kept = _Kept(catalogue, {name: number for number, name in datasets.items()})
        self._kept[tenant.tenant_id] = kept
        return kept
