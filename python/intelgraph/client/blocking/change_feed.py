"""A tenant's changes, in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

    from intelgraph.client.change_feed import ChangeFeed as AsyncChangeFeed
    from intelgraph.client.versions import HistoryEntry


class ChangeFeed(Iterator["HistoryEntry"]):
    """Changes in order. See `intelgraph.client.change_feed.ChangeFeed`."""

    def __init__(self, portal: BlockingPortal, inner: AsyncChangeFeed) -> None:
        self._portal = portal
        self._inner = inner
        self._ready: list[HistoryEntry] = []
        self._passed = inner.resume_after_seq

    @property
    def resume_after_seq(self) -> int:
        """Everything up to this `seq` was handed out or is of other datasets."""
        return self._passed

    def __next__(self) -> HistoryEntry:
        if not self._ready:
            self._ready = self._portal.call(self._inner.batch)[::-1]
            if not self._ready:
                self._passed = self._inner.resume_after_seq
                raise StopIteration
        entry = self._ready.pop()
        self._passed = entry.version.seq if self._ready else self._inner.resume_after_seq
        return entry

    def close(self) -> None:
        """Ends the feed's connection."""
        self._portal.call(self._inner.close)
