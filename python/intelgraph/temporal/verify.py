"""Checks a tenant's log against the tree whose frontier stands in the tenant's clock row.

Every change is opened and its leaf computed anew from what it says (`_core.LogCheck`). So a row that was
altered, swapped with another, taken away or put in is named, and what cannot be told from one row shows in
the root (RFC 6962 §2.1). Where retention removed rows, the subtree hashes that it kept stand for them. All is read in
one snapshot: the log may grow and shrink meanwhile, and the check is of what it was at the beginning.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from intelgraph._core import Keystore, LogCheck
from intelgraph.storage import log_tree

if TYPE_CHECKING:
    from intelgraph.keys.unsealing import Unsealer
    from intelgraph.storage.connection import Connection
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
    removed: int
    """Changes that retention removed."""
    removed_ranges: tuple[tuple[int, int], ...]
    """First and last change of each range of those, at most a thousand."""
    root: bytes | None
    """Root of the tree over both; None where a change is missing, so that there is none."""
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
        self,
        tenant: "Tenant",
        progress: Callable[[int, int], None] = lambda done, last: None,
        anchors: Sequence[tuple[int, bytes, int]] = (),
    ) -> LogVerdict:
        """Checks the whole log. `progress` is told the last change that was checked, and the last there is.

        `anchors` are sizes that the log had by the ledger, its root at each, and when the last change was recorded
        (microseconds since the Unix epoch): what was changed since, with all that stands in the database changed to
        fit, no longer fits those.

        Raises as `KeyService.authorise`, and Internal CLOCK_MISSING: what is wrong with the log itself is a
        finding.
        """
        check = LogCheck(self._keystore, tenant.tenant_id.bytes, anchors)
        done = 0
        async with self._database.read(tenant.tenant_id) as connection:
            head = await log_tree.tree_head(connection, tenant.tenant_id)
            while (page := await self._page(connection, tenant, done, head.seq)) is not None:
                await self._take(tenant, check, page)
                done = page.last_seq
                progress(done, head.seq)
        changes, root, findings, omitted, removed, ranges = await asyncio.to_thread(
            check.finish, head.seq, head.frontier, head.last_seq
        )
        found = tuple(Finding(*each) for each in findings)
        return LogVerdict(head.seq, changes, removed, tuple(ranges), root, found, omitted)

    async def _page(
        self, connection: "Connection", tenant: "Tenant", after_seq: int, until_seq: int
    ) -> log_tree.LeafPage | None:
        return await log_tree.leaves_after(connection, tenant.tenant_id, after_seq, until_seq, PAGE_CHANGES)

    async def _take(self, tenant: "Tenant", check: LogCheck, page: log_tree.LeafPage) -> None:
        catalogue = await self._catalogues.current(tenant)
        needed = LogCheck.keys_needed(page.rows)
        await self._unsealer.run(tenant, needed, lambda: check.take(page.rows, page.removed, catalogue))
