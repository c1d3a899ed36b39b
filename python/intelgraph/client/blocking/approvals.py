"""Asking for approvals, deciding on them, and the keys that sign."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from intelgraph.client.blocking.approval_watch import ApprovalWatch
from intelgraph.client.blocking.iteration import iterate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from anyio.from_thread import BlockingPortal

    from intelgraph.client import approval, approvals


class Approvals:
    """Asks for approvals and decides on them. See `intelgraph.client.approvals.Approvals`."""

    def __init__(self, portal: BlockingPortal, inner: approvals.Approvals) -> None:
        self._portal = portal
        self._inner = inner

    def request(
        self,
        kind: str,
        document: bytes,
        *,
        reason: str,
        ticket: str = "",
        role: str = "",
        quorum: int = 0,
        expires_in_s: int = 0,
        platform: bool = False,
        supersedes: UUID | None = None,
        timeout: float | None = None,
    ) -> approval.Approval:
        """Asks for the consent to an act that `document`, a JSON object, says exactly."""
        return self._portal.call(
            partial(
                self._inner.request,
                kind,
                document,
                reason=reason,
                ticket=ticket,
                role=role,
                quorum=quorum,
                expires_in_s=expires_in_s,
                platform=platform,
                supersedes=supersedes,
                timeout=timeout,
            )
        )

    def get(self, approval_id: UUID, *, timeout: float | None = None) -> approval.Approval:
        """An approval with its document and all that was said."""
        return self._portal.call(partial(self._inner.get, approval_id, timeout=timeout))

    def list(
        self, states: Sequence[approval.ApprovalState] = (), kind: str = "", *, timeout: float | None = None
    ) -> Iterator[approval.Approval]:
        """Approvals without their documents, newest first; of all states and kinds where none is named."""
        return iterate(self._portal, self._inner.list(states, kind, timeout=timeout))

    def approve(
        self,
        seen: approval.Approval,
        *,
        reason: str = "",
        signer: approvals.Signer | None = None,
        timeout: float | None = None,
    ) -> approval.Approval:
        """Approves what the caller has got and seen. Who has registered a key gives its `signer`."""
        return self._portal.call(
            partial(self._inner.approve, seen, reason=reason, signer=signer, timeout=timeout)
        )

    def deny(
        self,
        seen: approval.Approval,
        *,
        reason: str,
        signer: approvals.Signer | None = None,
        timeout: float | None = None,
    ) -> approval.Approval:
        """Ends a request for good."""
        return self._portal.call(
            partial(self._inner.deny, seen, reason=reason, signer=signer, timeout=timeout)
        )

    def withdraw(self, approval_id: UUID, *, timeout: float | None = None) -> approval.Approval:
        """Takes a request of the caller's back."""
        return self._portal.call(partial(self._inner.withdraw, approval_id, timeout=timeout))

    def watch(self, kind: str = "") -> ApprovalWatch:
        """What waits for the caller to decide: what is there first, then what comes."""
        return ApprovalWatch(self._portal, self._inner.watch(kind))

    def register_key(
        self,
        public_key: bytes,
        signer: approvals.Signer,
        *,
        endorser: approvals.Signer | None = None,
        approval: UUID | None = None,
        timeout: float | None = None,
    ) -> approval.ApproverKey:
        """Registers a key of the caller's, who has to sign from then on."""
        return self._portal.call(
            partial(
                self._inner.register_key,
                public_key,
                signer,
                endorser=endorser,
                approval=approval,
                timeout=timeout,
            )
        )

    def list_keys(
        self, approver: str = "", *, timeout: float | None = None
    ) -> Iterator[approval.ApproverKey]:
        """The keys of one approver or of all, those that were revoked too."""
        return iterate(self._portal, self._inner.list_keys(approver, timeout=timeout))

    def revoke_key(
        self,
        key_id: bytes,
        *,
        reason: str,
        endorser: approvals.Signer | None = None,
        timeout: float | None = None,
    ) -> approval.ApproverKey:
        """Revokes a key: the caller's own with `endorser`, or one that another lost."""
        return self._portal.call(
            partial(self._inner.revoke_key, key_id, reason=reason, endorser=endorser, timeout=timeout)
        )
