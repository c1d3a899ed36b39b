"""Fetches what the core needs to know of entities that it has not in memory."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

from intelgraph._core import Engine, Prepared
from intelgraph.keys.service import KeyService
from intelgraph.storage import change_log
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import Tenant


class HeadFetcher:
    """Answers a batch's missing heads and late look-ups from the change log, all in one query."""

    def __init__(self, engine: Engine, database: Database, keys: KeyService, executor: Executor) -> None:
        self._engine = engine
        self._database = database
        self._keys = keys
        self._executor = executor

    async def supply(self, tenant: Tenant, batch: Prepared) -> None:
        """Gives `batch` what it misses, if it misses anything.

        Raises:
            errors.Unavailable: `KEY_UNAVAILABLE` if a data key cannot be had now, `DATABASE_UNAVAILABLE`.
        """
        fetch = self._engine.plan_fetch(batch)
        if fetch is None:
            return
        async with self._database.read(tenant.tenant_id) as connection:
            rows = await change_log.fetch_heads(
                connection,
                tenant.tenant_id,
                batch.dataset_id,
                fetch.entities,
                fetch.late_entities,
                fetch.late_valid_at,
            )
        await self._keys.load(tenant, fetch.keys_needed(rows))
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, fetch.supply, rows)
