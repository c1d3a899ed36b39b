"""Dual control: asks for approvals, decides on them, and watches what waits."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from intelgraph.approval_statement import DecisionWord, decision_statement, key_statement
from intelgraph.client.approval import Approval, ApprovalState, ApproverKey, approval_of, key_of
from intelgraph.client.approval_watch import ApprovalWatch
from intelgraph.gateway.v1 import approval_pb2, approval_pb2_grpc

if TYPE_CHECKING:
    from uuid import UUID

    import grpc

    from intelgraph.client.calls import Caller
    from intelgraph.client.retry import RetryPolicy


class Signer(Protocol):
    """A private key that is registered, wherever it is kept."""

    @property
    def key_id(self) -> bytes:
        """SHA-256 of the public key as SubjectPublicKeyInfo in DER."""

    def sign(self, statement: bytes) -> bytes:
        """64 bytes: of RFC 8032 for Ed25519, of RFC 7518 section 3.4 for ES256."""


@dataclass(frozen=True, slots=True)
class _Self:
    """The caller, as its statements have to name it."""

    origin: str
    tenant: str
    person: str


class Approvals:
    """Asks for approvals and decides on them.

    What comes with its document raises DataLoss APPROVAL_DIGEST_DIFFERS where the digest is not that document's.
    """

    def __init__(self, channel: grpc.aio.Channel, caller: Caller, policy: RetryPolicy) -> None:
        self._stub = approval_pb2_grpc.ApprovalServiceStub(channel)
        self._caller = caller
        self._policy = policy

    async def request(
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
    ) -> Approval:
        """Asks for the consent to an act that `document`, a JSON object, says exactly.

        Role and quorum are the kind's unless they are given; it holds a day unless `expires_in_s` says for how
        many seconds. `supersedes` is an open request of the caller's that this one takes the place of.
        """
        request = approval_pb2.RequestApprovalRequest(
            kind=kind,
            document=document,
            reason=reason,
            ticket=ticket,
            role=role,
            quorum=quorum,
            expires_in_s=expires_in_s,
            platform=platform,
            supersedes=str(supersedes) if supersedes is not None else "",
        )
        return approval_of((await self._caller.call(self._stub.RequestApproval, request, timeout)).approval)

    async def get(self, approval_id: UUID, *, timeout: float | None = None) -> Approval:
        """An approval with its document and all that was said. Raises NotFound."""
        request = approval_pb2.GetApprovalRequest(approval_id=str(approval_id))
        return approval_of((await self._caller.call(self._stub.GetApproval, request, timeout)).approval)

    async def list(
        self, states: Sequence[ApprovalState] = (), kind: str = "", *, timeout: float | None = None
    ) -> AsyncIterator[Approval]:
        """Approvals without their documents, newest first; of all states and kinds where none is named."""
        token = ""
        while True:
            request = approval_pb2.ListApprovalsRequest(
                states=[approval_pb2.ApprovalState.ValueType(state) for state in states],
                kind=kind,
                page_size=500,
                page_token=token,
            )
            page = await self._caller.call(self._stub.ListApprovals, request, timeout)
            for approval in page.approvals:
                yield approval_of(approval)
            token = page.next_page_token
            if not token:
                return

    async def approve(
        self,
        seen: Approval,
        *,
        reason: str = "",
        signer: Signer | None = None,
        timeout: float | None = None,
    ) -> Approval:
        """Approves what the caller has got and seen. Who has registered a key gives its `signer`."""
        request = approval_pb2.ApproveRequest(
            approval_id=str(seen.approval_id), digest=seen.digest, reason=reason
        )
        if signer is not None:
            request.signature.CopyFrom(await self._signed(seen, "approve", signer, timeout))
        return approval_of((await self._caller.call(self._stub.Approve, request, timeout)).approval)

    async def deny(
        self,
        seen: Approval,
        *,
        reason: str,
        signer: Signer | None = None,
        timeout: float | None = None,
    ) -> Approval:
        """Ends a request for good."""
        request = approval_pb2.DenyRequest(approval_id=str(seen.approval_id), reason=reason)
        if signer is not None:
            request.signature.CopyFrom(await self._signed(seen, "deny", signer, timeout))
        return approval_of((await self._caller.call(self._stub.Deny, request, timeout)).approval)

    async def withdraw(self, approval_id: UUID, *, timeout: float | None = None) -> Approval:
        """Takes a request of the caller's back."""
        request = approval_pb2.WithdrawRequest(approval_id=str(approval_id))
        return approval_of((await self._caller.call(self._stub.Withdraw, request, timeout)).approval)

    def watch(self, kind: str = "") -> ApprovalWatch:
        """What waits for the caller to decide: what is there first, then what comes. Connects again by itself."""
        return ApprovalWatch(self._stub, self._caller.tokens, self._policy, kind)

    async def register_key(
        self,
        public_key: bytes,
        signer: Signer,
        *,
        endorser: Signer | None = None,
        approval: UUID | None = None,
        timeout: float | None = None,
    ) -> ApproverKey:
        """Registers a key of the caller's, who has to sign from then on; `public_key` in PEM or DER.

        `endorser` is a key of the caller's that is in force: needed where there is one. Where there was one and is
        none it takes `approval`; raises FailedPrecondition APPROVAL_MISSING without, whose metadata has the document.
        """
        me = await self._whoami(timeout)
        at_us = time.time_ns() // 1_000
        statement = _key_statement(me, "register", signer.key_id, at_us)
        request = approval_pb2.RegisterApproverKeyRequest(
            public_key=public_key,
            proof=_signature(signer, statement, at_us),
            approval_id=str(approval) if approval is not None else "",
        )
        if endorser is not None:
            request.endorsement.CopyFrom(_signature(endorser, statement, at_us))
        return key_of((await self._caller.call(self._stub.RegisterApproverKey, request, timeout)).key)

    async def list_keys(
        self, approver: str = "", *, timeout: float | None = None
    ) -> AsyncIterator[ApproverKey]:
        """The keys of one approver or of all, those that were revoked too."""
        token = ""
        while True:
            request = approval_pb2.ListApproverKeysRequest(approver=approver, page_token=token)
            page = await self._caller.call(self._stub.ListApproverKeys, request, timeout)
            for key in page.keys:
                yield key_of(key)
            token = page.next_page_token
            if not token:
                return

    async def revoke_key(
        self, key_id: bytes, *, reason: str, endorser: Signer | None = None, timeout: float | None = None
    ) -> ApproverKey:
        """Revokes a key: the caller's own with `endorser`, a key of the caller's, or one that another lost."""
        request = approval_pb2.RevokeApproverKeyRequest(key_id=key_id, reason=reason)
        if endorser is not None:
            me = await self._whoami(timeout)
            at_us = time.time_ns() // 1_000
            statement = _key_statement(me, "revoke", key_id, at_us)
            request.endorsement.CopyFrom(_signature(endorser, statement, at_us))
        return key_of((await self._caller.call(self._stub.RevokeApproverKey, request, timeout)).key)

    async def _signed(
        self, approval: Approval, word: DecisionWord, signer: Signer, timeout: float | None
    ) -> approval_pb2.StatementSignature:
        me = await self._whoami(timeout)
        at_us = time.time_ns() // 1_000
        statement = decision_statement(
            approval.statement_facts, decision=word, approver=me.person, at_us=at_us
        )
        return _signature(signer, statement, at_us)

    async def _whoami(self, timeout: float | None) -> _Self:
        request = approval_pb2.ListApproverKeysRequest(page_size=1)
        answer = await self._caller.call(self._stub.ListApproverKeys, request, timeout)
        return _Self(answer.origin, answer.caller_tenant, answer.caller)


def _key_statement(me: _Self, action: Literal["register", "revoke"], key_id: bytes, at_us: int) -> bytes:
    return key_statement(
        origin=me.origin, tenant=me.tenant, action=action, approver=me.person, key_id=key_id, at_us=at_us
    )


def _signature(signer: Signer, statement: bytes, at_us: int) -> approval_pb2.StatementSignature:
    return approval_pb2.StatementSignature(key_id=signer.key_id, at_us=at_us, value=signer.sign(statement))
