"""Reading the quarantine."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from intelgraph.client.blocking.iteration import iterate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from anyio.from_thread import BlockingPortal

    from intelgraph.client import quarantine


class Quarantine:
    """Reads the quarantine. See `intelgraph.client.quarantine.Quarantine`."""

    def __init__(self, portal: BlockingPortal, inner: quarantine.Quarantine) -> None:
        self._portal = portal
        self._inner = inner

    def list(
        self, dataset: str = "", *, stored: bool = False, timeout: float | None = None
    ) -> Iterator[quarantine.QuarantineEntry]:
        """Entries whose records wait, or were `stored` all the same, newest first, of one dataset or of all."""
        return iterate(self._portal, self._inner.list(dataset, stored=stored, timeout=timeout))

    def total_records(self, dataset: str = "", *, stored: bool = False, timeout: float | None = None) -> int:
        """Number of records that wait, or were `stored` all the same, of one dataset or of all."""
        return self._portal.call(partial(self._inner.total_records, dataset, stored=stored, timeout=timeout))

    def get(
        self, quarantine_id: UUID, *, with_records: bool = False, timeout: float | None = None
    ) -> quarantine.QuarantineDetail:
        """An entry with its report and, where asked for, its decrypted records."""
        return self._portal.call(
            partial(self._inner.get, quarantine_id, with_records=with_records, timeout=timeout)
        )
