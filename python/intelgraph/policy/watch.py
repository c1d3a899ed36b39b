"""Keeps every gateway deciding by the rules that tenants have put, at most two seconds later.

    async with RulesWatch(database, decisions, platform, threads) as watch:
        await watch.fresh()   # before each decision: free as long as all is well

Rules that cannot be used, because this version of the gateway refuses them, are not passed over: all that they could
deny is denied, until others are put.
"""

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import asyncpg

from intelgraph._core import PolicyBundle
from intelgraph.errors import IntelGraphError, Unavailable
from intelgraph.policy.decisions import Decisions
from intelgraph.policy.expendable import ExpendableThreads
from intelgraph.policy.rules import Module, check_rules
from intelgraph.policy.store import in_force_everywhere, modules_of

if TYPE_CHECKING:
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database

CHANNEL: Final = "intelgraph_policy"
REFRESH_SECONDS: Final = 1.0
FRESH_SECONDS: Final = 2.0
"""How long decisions are made by rules that could not be read again."""
PATIENCE_SECONDS: Final = 3.0
LOAD_SECONDS: Final = 0.5
"""Time that compiling what changed may take before its tenant is denied what its rules might deny."""
START_SECONDS: Final = 30.0
AT_ONCE: Final = 2
"""Tenants whose rules are compiled at once."""

_UNUSABLE: Final = "the tenant's rules cannot be used"

_log = logging.getLogger(__name__)


class RulesWatch:
    """Reads what is in force when it changes, and once a second in case a change was missed."""

    def __init__(
        self,
        database: "Database",
        decisions: Decisions,
        platform: PolicyBundle,
        threads: ExpendableThreads,
    ) -> None:
        self._database = database
        self._decisions = decisions
        self._platform = platform
        self._threads = threads
        self._installed: dict[str, int] = {}
        self._loading: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._read_at = -math.inf
        self._changed = asyncio.Event()
        self._read = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Returns when all rules are installed. Raises Unavailable STORAGE_UNAVAILABLE."""
        async with self._database.write() as connection:
            await self._refresh(connection, START_SECONDS)
        self._listening = asyncio.create_task(self._listen(), name="policy watch")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [*self._loading.values(), *([self._listening] if self._listening is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def fresh(self) -> None:
        """Returns if what decides was in force two seconds ago. Raises Unavailable POLICY_UNAVAILABLE."""
        if time.monotonic() - self._read_at < FRESH_SECONDS:
            return
        self._read.clear()
        self._changed.set()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._read.wait()
        except TimeoutError:
            raise Unavailable(
                "POLICY_UNAVAILABLE",
                "the rules in force cannot be read",
                fix="try again; if it goes on, see whether PostgreSQL answers",
                retry_after=1.0,
            ) from None

    def install(self, tenant: str, version: int, modules: Sequence[Module], bundle: PolicyBundle) -> None:
        """Decides by rules that were read, or that this process has put."""
        if self._installed.get(tenant, 0) < version:
            self._decisions.install(tenant, bundle if modules else None)
            self._installed[tenant] = version

    async def _listen(self) -> None:
        while True:
            try:
                async with self._database.listener(CHANNEL, self._changed.set) as connection:
                    while True:
                        self._changed.clear()
                        await self._refresh(connection, LOAD_SECONDS)
                        await self._changed_or_due()
            except (IntelGraphError, asyncpg.PostgresError) as error:
                _log.warning("cannot follow changes of tenants' rules: %s", type(error).__name__)
                await asyncio.sleep(REFRESH_SECONDS)

    async def _changed_or_due(self) -> None:
        try:
            async with asyncio.timeout(REFRESH_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _refresh(self, connection: "Connection", patience: float) -> None:
        """Installs what changed. What takes longer than `patience` to compile is denied until then, and holds up no
        other tenant.
        """
        began = time.monotonic()
        for tenant, (tenant_id, version) in (await in_force_everywhere(connection)).items():
            if self._installed.get(tenant, 0) < version and (tenant, version) not in self._loading:
                modules = await modules_of(connection, tenant_id, version)
                self._loading[tenant, version] = asyncio.create_task(self._load(tenant, version, modules))
        if self._loading:
            _, late = await asyncio.wait(self._loading.values(), timeout=patience)
            for (tenant, version), task in list(self._loading.items()):
                if task in late and self._installed.get(tenant, 0) < version:
                    self._decisions.install(tenant, self._platform.closed(tenant, _UNUSABLE))
        self._read_at = began
        self._read.set()

    async def _load(self, tenant: str, version: int, modules: Sequence[Module]) -> None:
        try:
            self.install(tenant, version, modules, await self._compiled(tenant, version, modules))
        finally:
            del self._loading[tenant, version]

    async def _compiled(self, tenant: str, version: int, modules: Sequence[Module]) -> PolicyBundle:
        if not modules:
            return self._platform
        try:
            async with self._turn:
                return await check_rules(self._platform, tenant, modules, self._threads)
        except Exception as error:
            # Whatever it is: without its rules, the tenant would be allowed what they deny.
            problem = str(error) if isinstance(error, IntelGraphError) else type(error).__name__
            _log.error(
                "the rules of tenant %s cannot be used, and deny",
                tenant,
                extra={"version": version, "problem": problem},
            )
            return self._platform.closed(tenant, _UNUSABLE)
