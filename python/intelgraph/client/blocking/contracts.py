"""Publishing and reading contracts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from intelgraph.client.blocking.iteration import iterate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

    from anyio.from_thread import BlockingPortal

    from intelgraph.client import contracts


class Contracts:
    """Publishes and reads contracts. See `intelgraph.client.contracts.Contracts`."""

    def __init__(self, portal: BlockingPortal, inner: contracts.Contracts) -> None:
        self._portal = portal
        self._inner = inner

    def put(
        self, document: bytes, *, approval: UUID | None = None, timeout: float | None = None
    ) -> contracts.Published:
        """Publishes a contract document (JSON). The same document again changes nothing."""
        return self._portal.call(partial(self._inner.put, document, approval=approval, timeout=timeout))

    def check(self, document: bytes, *, timeout: float | None = None) -> contracts.Prospect:
        """What would come of publishing a document, which is not published."""
        return self._portal.call(partial(self._inner.check, document, timeout=timeout))

    def get(self, dataset: str, version: str = "", *, timeout: float | None = None) -> contracts.Contract:
        """A version of a contract with its document, by default the newest."""
        return self._portal.call(partial(self._inner.get, dataset, version, timeout=timeout))

    def list(self, dataset: str = "", *, timeout: float | None = None) -> Iterator[contracts.Contract]:
        """Contracts without their documents, by dataset, newest version first."""
        return iterate(self._portal, self._inner.list(dataset, timeout=timeout))

    def validate(
        self, records: Iterable[bytes], dataset: str, version: str = "", *, timeout: float | None = None
    ) -> contracts.Validation:
        """Checks JSON records against a published contract; stores nothing."""
        return self._portal.call(partial(self._inner.validate, records, dataset, version, timeout=timeout))

    def validate_against(
        self, records: Iterable[bytes], document: bytes, *, timeout: float | None = None
    ) -> contracts.Validation:
        """Checks JSON records against a contract document; stores nothing."""
        return self._portal.call(partial(self._inner.validate_against, records, document, timeout=timeout))
