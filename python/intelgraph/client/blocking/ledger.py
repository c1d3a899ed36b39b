"""Reading the ledger."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from intelgraph.client.blocking.iteration import iterate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from anyio.from_thread import BlockingPortal

    from intelgraph.client import ledger


class Ledger:
    """Reads the ledger. See `intelgraph.client.ledger.Ledger`."""

    def __init__(self, portal: BlockingPortal, inner: ledger.Ledger) -> None:
        self._portal = portal
        self._inner = inner

    def list(
        self,
        *,
        kinds: Sequence[str] = (),
        subject: str = "",
        about_tenant: str = "",
        from_us: int | None = None,
        to_us: int | None = None,
        page_size: int = 100,
        timeout: float | None = None,
    ) -> Iterator[ledger.LedgerEntry]:
        """Entries, newest first."""
        return iterate(
            self._portal,
            self._inner.list(
                kinds=kinds,
                subject=subject,
                about_tenant=about_tenant,
                from_us=from_us,
                to_us=to_us,
                page_size=page_size,
                timeout=timeout,
            ),
        )

    def get(self, index: int, *, timeout: float | None = None) -> ledger.LedgerEntry:
        """One entry."""
        return self._portal.call(partial(self._inner.get, index, timeout=timeout))

    def tail(
        self, *, from_index: int | None = None, kinds: Sequence[str] = ()
    ) -> Iterator[ledger.LedgerEntry]:
        """Entries as they come."""
        return iterate(self._portal, self._inner.tail(from_index=from_index, kinds=kinds))

    def checkpoint(self, *, timeout: float | None = None) -> ledger.LedgerCheckpoint:
        """The last signed checkpoint."""
        return self._portal.call(partial(self._inner.checkpoint, timeout=timeout))

    def prove_inclusion(
        self, index: int, size: int | None = None, *, timeout: float | None = None
    ) -> ledger.LedgerProof:
        """The proof that an entry is in the log."""
        return self._portal.call(partial(self._inner.prove_inclusion, index, size, timeout=timeout))

    def prove_consistency(
        self, from_size: int, to_size: int | None = None, *, timeout: float | None = None
    ) -> ledger.LedgerProof:
        """The proof that the log only grew."""
        return self._portal.call(partial(self._inner.prove_consistency, from_size, to_size, timeout=timeout))

    def cosign(self, size: int, line: str, *, timeout: float | None = None) -> bytes:
        """Hands a witness's signature of a checkpoint in; gives the checkpoint with all signatures."""
        return self._portal.call(partial(self._inner.cosign, size, line, timeout=timeout))

    def erase(
        self, index: int, reason: str, *, approval: UUID | None = None, timeout: float | None = None
    ) -> ledger.LedgerEntry:
        """Erases header and payload of an entry."""
        return self._portal.call(
            partial(self._inner.erase, index, reason, approval=approval, timeout=timeout)
        )
