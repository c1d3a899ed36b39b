"""The key tables: tenant keys, data keys and index keys, all wrapped. Rows are added here, never changed."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from intelgraph._core import CoreError, DataKeyRow, IndexKeyRow
from intelgraph.errors import DataLoss
from intelgraph.keys.platform import PLATFORM
from intelgraph.keys.provider import KeyContext, UnwrapRequest, Wrapped

if TYPE_CHECKING:
    import asyncpg

    from intelgraph.storage.connection import Connection

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# The newest first; of two made together the one with the greater id, as the keystore has it.
_OF_TENANTS: Final = """
SELECT tenant_id, key_id, kek_id, kek_version, wrapped, created_at
FROM tenant_key WHERE tenant_id = ANY ($1::uuid[]) ORDER BY created_at DESC, key_id DESC
"""

_NAMED: Final = """
SELECT tenant_id, key_id, kek_id, kek_version, wrapped, created_at
FROM tenant_key WHERE tenant_id = $1 AND key_id = ANY ($2::uuid[])
"""

_ADD_TENANT_KEY: Final = """
INSERT INTO tenant_key (tenant_id, key_id, provider, kek_id, kek_version, wrapped, state, ledgered)
SELECT $1, $2, $3, $4, $5, $6, 'active', $8
WHERE NOT EXISTS (
  SELECT FROM tenant_key WHERE tenant_id = $1 AND created_at > clock_timestamp() - $7::interval
)
"""

_INDEX_KEY: Final = "SELECT index_key_id, wrapped FROM index_key WHERE tenant_id = $1"

_ADD_INDEX_KEY: Final = """
INSERT INTO index_key (tenant_id, index_key_id, tenant_key_id, wrapped) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id) DO NOTHING
"""

_DATA_KEYS: Final = """
SELECT dek_id, suite, wrapped FROM data_key WHERE tenant_id = $1 AND dek_id = ANY ($2::bytea[])
"""

_ADD_DATA_KEY: Final = """
INSERT INTO data_key (tenant_id, dek_id, suite, tenant_key_id, wrapped, state, ledgered)
VALUES ($1, $2, $3, $4, $5, 'active', $6)
"""


@dataclass(frozen=True, slots=True)
class TenantKeyRow:
    """A tenant key as it is stored, or as it travelled in an envelope."""

    tenant_id: UUID
    key_id: UUID
    wrapped: Wrapped
    created_us: int | None
    """Database time, microseconds since the Unix epoch; None for one that travelled: it wraps nothing new."""

    def to_unwrap(self) -> UnwrapRequest:
        """What to ask of the KMS."""
        return UnwrapRequest(KeyContext(self.tenant_id, self.key_id), self.wrapped)

    @property
    def kek(self) -> tuple[str, str]:
        """The KEK and version that wrapped it: rows with the same are allowed, or denied, together."""
        return self.wrapped.kek_id, self.wrapped.kek_version


async def tenant_keys_of(
    connection: "Connection", tenant_ids: Iterable[UUID]
) -> Mapping[UUID, Sequence[TenantKeyRow]]:
    """All of these tenants', each tenant's newest first. The reader sees one tenant's, the writer all."""
    found: dict[UUID, list[TenantKeyRow]] = {tenant_id: [] for tenant_id in tenant_ids}
    for row in await connection.fetch(_OF_TENANTS, [*found]):
        found[row["tenant_id"]].append(_tenant_key(row))
    return found


async def tenant_keys_named(
    connection: "Connection", tenant_id: UUID, key_ids: Iterable[UUID]
) -> Sequence[TenantKeyRow]:
    """Those of the tenant's that have these ids."""
    return [_tenant_key(row) for row in await connection.fetch(_NAMED, tenant_id, [*key_ids])]


async def add_tenant_key(
    connection: "Connection",
    provider: str,
    context: KeyContext,
    wrapped: Wrapped,
    unless_within: timedelta,
) -> bool:
    """Adds a tenant key, unless the tenant got one within that time: of gateways that find one missing at the
    same moment, the first to commit adds it. For the writer, in a transaction that is committed soon.
    """
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _lock_of(context.tenant_id))
    # A statement of its own, because it has to see what was committed while it waited for the lock.
    done: str = await connection.execute(
        _ADD_TENANT_KEY,
        context.tenant_id,
        context.key_id,
        provider,
        wrapped.kek_id,
        wrapped.kek_version,
        wrapped.wrapped,
        unless_within,
        _is_entered(context.tenant_id),
    )
    return done == "INSERT 0 1"


async def index_key(connection: "Connection", tenant_id: UUID) -> IndexKeyRow | None:
    """The tenant's index key. Raises DataLoss KEY_ROW_CORRUPT."""
    row = await connection.fetchrow(_INDEX_KEY, tenant_id)
    if row is None:
        return None
    try:
        return IndexKeyRow(tenant_id.bytes, row["index_key_id"], row["wrapped"])
    except CoreError as error:
        raise row_corrupt("index_key", row["index_key_id"], error.args[1]) from None


async def add_index_key(connection: "Connection", tenant_id: UUID, row: IndexKeyRow) -> bool:
    """Adds the tenant's index key, unless it has one: the first to commit holds. For the writer."""
    done: str = await connection.execute(
        _ADD_INDEX_KEY, tenant_id, row.index_key_id, UUID(bytes=row.tenant_key_id), row.wrapped
    )
    return done == "INSERT 0 1"


async def data_keys(
    connection: "Connection", tenant_id: UUID, dek_ids: Sequence[bytes]
) -> Sequence[DataKeyRow]:
    """Those of these data keys that exist. Raises DataLoss KEY_ROW_CORRUPT."""
    found = []
    for row in await connection.fetch(_DATA_KEYS, tenant_id, dek_ids):
        try:
            found.append(DataKeyRow(tenant_id.bytes, row["dek_id"], row["suite"], row["wrapped"]))
        except CoreError as error:
            raise row_corrupt("data_key", row["dek_id"], error.args[1]) from None
    return found


async def add_data_key(connection: "Connection", tenant_id: UUID, row: DataKeyRow) -> None:
    """Adds a data key. For the writer."""
    await connection.execute(
        _ADD_DATA_KEY,
        tenant_id,
        row.dek_id,
        row.suite,
        UUID(bytes=row.tenant_key_id),
        row.wrapped,
        _is_entered(tenant_id),
    )


_VERSION_IS_USED: Final = """
SELECT EXISTS (
  SELECT FROM tenant_key WHERE tenant_id = $1 AND kek_id = $2 AND kek_version = $3 AND key_id <> $4
)
"""


async def version_is_used(connection: "Connection", context: KeyContext, wrapped: Wrapped) -> bool:
    """Whether the KEK version that wrapped this tenant key has wrapped another before. For the writer."""
    used: bool = await connection.fetchval(
        _VERSION_IS_USED, context.tenant_id, wrapped.kek_id, wrapped.kek_version, context.key_id
    )
    return used


def _is_entered(owner_id: UUID) -> bool:
    """Whether the ledger has the row's entry once it is committed: of the platform's own keys, which seal entries, it
    has it a moment later.
    """
    return owner_id != PLATFORM.tenant_id


def row_corrupt(table: str, key_id: bytes, why: str) -> DataLoss:
    """The refusal of a row that does not hold what was stored; key ids are not secret."""
    return DataLoss(
        "KEY_ROW_CORRUPT",
        f"the row of {table} with id {key_id.hex()} does not hold the key it was made for ({why})",
        fix="restore the row from a backup of the database; somebody altered it, or moved it",
        metadata={"table": table, "key_id": key_id.hex()},
    )


def _tenant_key(row: "asyncpg.Record") -> TenantKeyRow:
    created_us = (row["created_at"] - _EPOCH) // timedelta(microseconds=1)
    wrapped = Wrapped(row["wrapped"], row["kek_id"], row["kek_version"])
    return TenantKeyRow(row["tenant_id"], row["key_id"], wrapped, created_us)


def _lock_of(tenant_id: UUID) -> int:
    """Key of the advisory lock under which the tenant's keys are added: 64 bits, signed."""
    digest = hashlib.sha256(b"intelgraph tenant_key" + tenant_id.bytes).digest()
    return int.from_bytes(digest[:8], signed=True)
