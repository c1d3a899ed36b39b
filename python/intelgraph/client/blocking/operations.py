"""Operations, and what starts them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from intelgraph.client.blocking.iteration import iterate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from anyio.from_thread import BlockingPortal

    from intelgraph.client import operations


class Operations:
    """Shows, follows and cancels operations. See `intelgraph.client.operations.Operations`."""

    def __init__(self, portal: BlockingPortal, inner: operations.Operations) -> None:
        self._portal = portal
        self._inner = inner

    def get(self, operation_id: UUID, *, timeout: float | None = None) -> operations.LongOperation:
        """An operation."""
        return self._portal.call(partial(self._inner.get, operation_id, timeout=timeout))

    def list(
        self,
        *,
        kind: str = "",
        states: Sequence[operations.OperationState] = (),
        timeout: float | None = None,
    ) -> Iterator[operations.LongOperation]:
        """Operations, newest first, of one kind or all, in some states or all."""
        return iterate(self._portal, self._inner.list(kind=kind, states=states, timeout=timeout))

    def cancel(self, operation_id: UUID, *, timeout: float | None = None) -> operations.LongOperation:
        """Cancels an operation: it ends before its next step."""
        return self._portal.call(partial(self._inner.cancel, operation_id, timeout=timeout))

    def watch(self, operation_id: UUID) -> Iterator[operations.LongOperation]:
        """The operation now, and whenever it has changed, to its end."""
        watched = self._inner.watch(operation_id)
        try:
            yield from iterate(self._portal, watched)
        finally:
            self._portal.call(watched.aclose)


class Retention:
    """Removes what its contracts no longer keep. See `intelgraph.client.operations.Retention`."""

    def __init__(self, portal: BlockingPortal, inner: operations.Retention) -> None:
        self._portal = portal
        self._inner = inner

    def run(
        self,
        datasets: Sequence[str] = (),
        *,
        dry_run: bool = False,
        deadline_seconds: int = 0,
        timeout: float | None = None,
    ) -> operations.LongOperation:
        """Starts a run over these datasets or all, or only has it say what would go."""
        return self._portal.call(
            partial(
                self._inner.run,
                datasets,
                dry_run=dry_run,
                deadline_seconds=deadline_seconds,
                timeout=timeout,
            )
        )
