"""The owner of the keys that are no tenant's: what seals the ledger, so that a lost key of a tenant hides nothing."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Platform:
    """A `KeyOwner` that is no tenant. Naming its id, a reader sees the ledger entries of all tenants."""

    tenant_id: UUID
    name: str


PLATFORM: Final = Platform(UUID("706c6174-666f-8d72-8000-000000000000"), "platform")
"""Its id is in migration 0003 too, and never changes: it is part of what every entry is sealed with."""
