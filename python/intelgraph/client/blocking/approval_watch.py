"""What waits for the caller to decide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

    from intelgraph.client import approval
    from intelgraph.client.approval_watch import ApprovalWatch as AsyncApprovalWatch


class ApprovalWatch(Iterator["approval.ApprovalNews"]):
    """What waits, without an end. See `intelgraph.client.approval_watch.ApprovalWatch`."""

    def __init__(self, portal: BlockingPortal, inner: AsyncApprovalWatch) -> None:
        self._portal = portal
        self._inner = inner

    def __next__(self) -> approval.ApprovalNews:
        return self._portal.call(self._inner.__anext__)

    def close(self) -> None:
        """Ends the connection."""
        self._portal.call(self._inner.close)
