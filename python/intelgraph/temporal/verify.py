"""Checks a tenant's log against the tree whose frontier stands in the tenant's clock row.

Every change is opened and its leaf computed anew from what it says (`_core.LogCheck`). So a row that was
altered, swapped with another, taken away or put in is named, and what cannot be told from one row shows in
the root (RFC 6962 §2.1). The log may grow meanwhile: the check ends where it ended at the beginning.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from intelgraph._core import Keystore, LogCheck
from intelgraph.storage import log_tree

if TYPE_CHECKING:
    from intelgraph.keys.unsealing import Unsealer
    from intelgraph.storage.database import Database
    from intelgraph.temporal.catalogues import Catalogues
    from intelgraph.tenants.registry import Tenant

PAGE_CHANGES: Final = 2000
"""Changes that are checked at a time; their data keys fit the keystore together."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the log that was not committed so: what, from which change to which."""

    reason: str
    first_seq: int
    last_seq: int
    message: str


@dataclass(frozen=True, slots=True)
class LogVerdict:
    """What a check found."""

    seq: int
    """The last change by the clock row."""
    changes: int
    """Changes that were looked at."""
    root: bytes | None
    """Root of the tree over them; None where a change is missing, so that there is none."""
    findings: tuple[Finding, ...]
    """In the order in which they were met, at most a thousand."""
    omitted: int
    """Findings beyond that."""


class LogVerifier:
    """Checks logs of any tenant."""

    def __init__(
        self, database: "Database", unsealer: "Unsealer", catalogues: "Catalogues", keystore: Keystore
    ) -> None:
        self._database = database
        self._unsealer = unsealer
        self._catalogues = catalogues
        self._keystore = keystore

    async def verify(
        self, tenant: "Tenant", progress: Callable[[int, int], None] = lambda done, last: None
    ) -> LogVerdict:
        """Checks the whole log. `progress` is told the last change that was checked, and the last there is.

        Raises as `KeyService.authorise`, and Internal CLOCK_MISSING: what is wrong with the log itself is a
        finding.
        """
        async with self._database.read(tenant.tenant_id) as connection:
            head = await log_tree.tree_head(connection, tenant.tenant_id)
        check = LogCheck(self._keystore, tenant.tenant_id.bytes)
        done = 0
        while (page := await self._page(tenant, done, head.seq)) is not None:
            await self._take(tenant, check, page.rows)
            done = page.last_seq
            progress(done, head.seq)
        changes, root, findings, omitted = await asyncio.to_thread(
            check.finish, head.seq, head.frontier, head.last_seq
        )
        return LogVerdict(head.seq, changes, root, tuple(Finding(*found) for found in findings), omitted)

    async def _page(self, tenant: "Tenant", after_seq: int, until_seq: int) -> log_tree.LeafPage | None:
        async with self._database.read(tenant.tenant_id) as connection:
            return await log_tree.leaves_after(
                connection, tenant.tenant_id, after_seq, until_seq, PAGE_CHANGES
            )

    async def _take(self, tenant: "Tenant", check: LogCheck, rows: bytes) -> None:
        catalogue = await self._catalogues.current(tenant)
        await self._unsealer.run(tenant, LogCheck.keys_needed(rows), lambda: check.take(rows, catalogue))
