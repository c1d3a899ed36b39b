"""Reading entities."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from intelgraph.client.blocking.change_feed import ChangeFeed
from intelgraph.client.blocking.iteration import iterate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anyio.from_thread import BlockingPortal

    from intelgraph.client import contracts, entities
    from intelgraph.client.versions import AsOf, EntityDiff, EntityVersion, HistoryEntry


class Entities:
    """Reads entities. See `intelgraph.client.entities.Entities`."""

    def __init__(self, portal: BlockingPortal, inner: entities.Entities) -> None:
        self._portal = portal
        self._inner = inner

    def get(
        self,
        dataset: str,
        key: entities.EntityKey,
        as_of: AsOf | None = None,
        *,
        timeout: float | None = None,
    ) -> EntityVersion:
        """The version in force at a moment, by default now."""
        return self._portal.call(partial(self._inner.get, dataset, key, as_of, timeout=timeout))

    def report(
        self,
        dataset: str,
        key: entities.EntityKey,
        as_of: AsOf | None = None,
        *,
        timeout: float | None = None,
    ) -> contracts.ViolationReport | None:
        """What the version in force at a moment breaks; None where it satisfies its contract."""
        return self._portal.call(partial(self._inner.report, dataset, key, as_of, timeout=timeout))

    def diff(
        self,
        dataset: str,
        key: entities.EntityKey,
        before: AsOf,
        after: AsOf | None = None,
        *,
        timeout: float | None = None,
    ) -> EntityDiff:
        """What changed between two moments; the later is by default now."""
        return self._portal.call(partial(self._inner.diff, dataset, key, before, after, timeout=timeout))

    def history(
        self,
        dataset: str,
        key: entities.EntityKey,
        *,
        with_documents: bool = False,
        page_size: int = 50,
        timeout: float | None = None,
    ) -> Iterator[HistoryEntry]:
        """The versions, newest first by (valid time, seq)."""
        entries = self._inner.history(
            dataset, key, with_documents=with_documents, page_size=page_size, timeout=timeout
        )
        return iterate(self._portal, entries)

    def changes(
        self, after_seq: int = 0, *, datasets: Sequence[str] = (), until_now: bool = False
    ) -> ChangeFeed:
        """Every change of the tenant with a greater `seq`, once and in order."""
        feed = self._portal.call(
            partial(self._inner.changes, after_seq, datasets=datasets, until_now=until_now)
        )
        return ChangeFeed(self._portal, feed)
