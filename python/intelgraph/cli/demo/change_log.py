"""A look past the gateway, straight into its table: what is stored is ciphertext."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import asyncpg

from intelgraph.errors import NotFound
from intelgraph.storage.connection import reachable
from intelgraph.storage.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

_ROW = """
SELECT seq, recorded, valid_at, entity_id, version, op AS operation, leaf, sealed
FROM entity_change_log WHERE seq = $1
"""


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row of `entity_change_log`, as PostgreSQL has it."""

    seq: int
    recorded: datetime
    valid_at: datetime
    entity_id: UUID
    version: int
    operation: int
    leaf: bytes
    sealed: bytes


class ChangeLog:
    """The change log of one tenant, read in the gateway's own reading role under row-level security."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, data_dir: Path, tenant_id: UUID) -> AsyncIterator[Self]:
        """Connects to the PostgreSQL of a gateway that serves from `data_dir`."""
        connection = await asyncpg.connect(reachable(EmbeddedServer(data_dir).dsn("intelgraph_reader")))
        try:
            await connection.execute("SELECT set_config('intelgraph.tenant', $1, false)", str(tenant_id))
            yield cls(connection)
        finally:
            await connection.close()

    async def count(self) -> int:
        """Number of changes."""
        return int(await self._connection.fetchval("SELECT count(*) FROM entity_change_log"))

    async def row(self, seq: int) -> RawRow:
        """The row of one change. Raises NotFound (CHANGE_UNKNOWN)."""
        row = await self._connection.fetchrow(_ROW, seq)
        if row is None:
            raise NotFound(
                reason="CHANGE_UNKNOWN", message=f"there is no change {seq}", fix="name one in the log"
            )
        return RawRow(**dict(row))
