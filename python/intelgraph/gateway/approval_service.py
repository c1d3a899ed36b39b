"""`ApprovalService`: asks for approvals, shows what they are for, and takes decisions."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from intelgraph.approvals.approval import Approval, ApprovalState, Caller, Decision, to_us
from intelgraph.approvals.approvals import Approvals
from intelgraph.approvals.keys import ApproverKey, ApproverKeys, GivenSignature
from intelgraph.approvals.kinds import explanation, title_of
from intelgraph.approvals.request import DEFAULT_LIFETIME, Wanted
from intelgraph.approvals.store import ApprovalPlace
from intelgraph.approvals.waiting import Waiting
from intelgraph.errors import InvalidArgument
from intelgraph.gateway.approval_id import approval_id, approval_id_if_given
from intelgraph.gateway.identity import Identity, current_identity
from intelgraph.gateway.page_token import PageScope, page_size
from intelgraph.gateway.permissions import require_also
from intelgraph.gateway.share_reach import ShareReach
from intelgraph.gateway.v1 import approval_pb2, approval_pb2_grpc

if TYPE_CHECKING:
    import grpc

    Context = grpc.aio.ServicerContext[Any, Any]

APPROVE_AS_MACHINE: Final = "approval.approve_as_machine"
"""Without it a machine decides on no approval. Only the role `machine-approver` grants it, and nothing else."""

_STATES: Final = {
    ApprovalState.REQUESTED: approval_pb2.APPROVAL_STATE_REQUESTED,
    ApprovalState.APPROVED: approval_pb2.APPROVAL_STATE_APPROVED,
    ApprovalState.DENIED: approval_pb2.APPROVAL_STATE_DENIED,
    ApprovalState.WITHDRAWN: approval_pb2.APPROVAL_STATE_WITHDRAWN,
    ApprovalState.EXPIRED: approval_pb2.APPROVAL_STATE_EXPIRED,
    ApprovalState.USED: approval_pb2.APPROVAL_STATE_USED,
}
_STATE_OF: Final = {number: state for state, number in _STATES.items()}
_DECISIONS: Final = {
    "approve": approval_pb2.APPROVAL_DECISION_APPROVE,
    "deny": approval_pb2.APPROVAL_DECISION_DENY,
}
_FIRST_KEY: Final = b""


class ApprovalService(approval_pb2_grpc.ApprovalServiceServicer):
    """The approvals of the caller's tenant."""

    def __init__(self, approvals: Approvals, keys: ApproverKeys, waiting: Waiting, reach: ShareReach) -> None:
        self._approvals = approvals
        self._keys = keys
        self._waiting = waiting
        self._reach = reach

    async def RequestApproval(  # noqa: N802 (gRPC's name)
        self, request: approval_pb2.RequestApprovalRequest, context: "Context"
    ) -> approval_pb2.RequestApprovalResponse:
        identity = current_identity.get()
        wanted = Wanted(
            kind=request.kind,
            document=request.document,
            reason=request.reason,
            ticket=request.ticket,
            role=request.role,
            quorum=request.quorum,
            lifetime=timedelta(seconds=request.expires_in_s) if request.expires_in_s else DEFAULT_LIFETIME,
            platform=request.platform,
            supersedes=approval_id_if_given(request.supersedes),
        )
        approval = await self._approvals.request(identity.tenant, wanted, _caller(identity))
        return approval_pb2.RequestApprovalResponse(approval=await self._with_now(approval))

    async def GetApproval(  # noqa: N802 (gRPC's name)
        self, request: approval_pb2.GetApprovalRequest, context: "Context"
    ) -> approval_pb2.GetApprovalResponse:
        tenant = current_identity.get().tenant
        approval = await self._approvals.get(tenant, approval_id(request.approval_id))
        return approval_pb2.GetApprovalResponse(approval=await self._with_now(approval))

    async def ListApprovals(  # noqa: N802 (gRPC's name)
        self, request: approval_pb2.ListApprovalsRequest, context: "Context"
    ) -> approval_pb2.ListApprovalsResponse:
        tenant = current_identity.get().tenant
        states = [_state(number) for number in request.states]
        question = ("ListApprovals", request.kind, *sorted({state.value for state in states}))
        scope = PageScope(tenant.tenant_id, question)
        size = page_size(request.page_size, default=50, most=500)
        position = scope.position(request.page_token, int, str)
        before = ApprovalPlace(int(position[0]), UUID(str(position[1]))) if position else None
        found = await self._approvals.page(
            tenant, states=states, kind=request.kind, before=before, limit=size + 1
        )
        page = found[:size]
        more = len(found) > size
        return approval_pb2.ListApprovalsResponse(
            approvals=[_message(approval) for approval in page],
            next_page_token=scope.token((to_us(page[-1].requested_at), str(page[-1].approval_id)))
            if more
            else "",
        )

    async def Approve(  # noqa: N802 (gRPC's name)
        self, request: approval_pb2.ApproveRequest, context: "Context"
    ) -> approval_pb2.ApproveResponse:
        identity = await _decider()
        approval = await self._approvals.approve(
            identity.tenant,
            approval_id(request.approval_id),
            _caller(identity),
            digest=request.digest,
            reason=request.reason,
            signature=_signature(request.signature) if request.HasField("signature") else None,
        )
        return approval_pb2.ApproveResponse(approval=_message(approval))

    async def Deny(  # noqa: N802 (gRPC's name)
        self, request: approval_pb2.DenyRequest, context: "Context"
    ) -> approval_pb2.DenyResponse:
        identity = await _decider()
        approval = await self._approvals.deny(
            identity.tenant,
            approval_id(request.approval_id),
            _caller(identity),
            reason=request.reason,
            signature=_signature(request.signature) if request.HasField("signature") else None,
        )
        return approval_pb2.DenyResponse(approval=_message(approval))

    async def Withdraw(  # noqa: N802 (gRPC's name)
        self, request: approval_pb2.WithdrawRequest, context: "Context"
    ) -> approval_pb2.WithdrawResponse:
        identity = current_identity.get()
        approval = await self._approvals.withdraw(
            identity.tenant, approval_id(request.approval_id), _caller(identity)
        )
        return approval_pb2.WithdrawResponse(approval=_message(approval))

    async def WatchApprovals(  # noqa: N802 (gRPC's name)
        self, request: approval_pb2.WatchApprovalsRequest, context: "Context"
    ) -> AsyncIterator[approval_pb2.WatchApprovalsResponse]:
        identity = current_identity.get()
        async for news in self._waiting.follow(identity.tenant, _caller(identity), kind=request.kind):
            if news.approval is None:
                yield approval_pb2.WatchApprovalsResponse(caught_up=True)
            else:
                yield approval_pb2.WatchApprovalsResponse(
                    approval=_message(news.approval), awaits_caller=news.awaits
                )

    async def RegisterApproverKey(  # noqa: N802 (gRPC's name)
        self, request: approval_pb2.RegisterApproverKeyRequest, context: "Context"
    ) -> approval_pb2.RegisterApproverKeyResponse:
        identity = await _decider()
        key = await self._keys.register(
            identity.tenant,
            _caller(identity),
            request.public_key,
            _signature(request.proof),
            _signature(request.endorsement) if request.HasField("endorsement") else None,
            approval_id_if_given(request.approval_id),
        )
        return approval_pb2.RegisterApproverKeyResponse(key=_key_message(key))

    async def ListApproverKeys(  # noqa: N802 (gRPC's name)
        self, request: approval_pb2.ListApproverKeysRequest, context: "Context"
    ) -> approval_pb2.ListApproverKeysResponse:
        identity = current_identity.get()
        scope = PageScope(identity.tenant.tenant_id, ("ListApproverKeys", request.approver))
        size = page_size(request.page_size, default=100, most=500)
        position = scope.position(request.page_token, str)
        after = bytes.fromhex(str(position[0])) if position else _FIRST_KEY
        keys = await self._keys.page(identity.tenant, request.approver, after, size + 1)
        page = keys[:size]
        return approval_pb2.ListApproverKeysResponse(
            keys=[_key_message(key) for key in page],
            next_page_token=scope.token((page[-1].key_id.hex(),)) if len(keys) > size else "",
            origin=await self._keys.origin(identity.tenant),
            caller_tenant=identity.tenant.name,
            caller=identity.subject,
        )

    async def RevokeApproverKey(  # noqa: N802 (gRPC's name)
        self, request: approval_pb2.RevokeApproverKeyRequest, context: "Context"
    ) -> approval_pb2.RevokeApproverKeyResponse:
        identity = await _decider()
        key = await self._keys.revoke(
            identity.tenant,
            _caller(identity),
            request.key_id,
            request.reason,
            _signature(request.endorsement) if request.HasField("endorsement") else None,
        )
        return approval_pb2.RevokeApproverKeyResponse(key=_key_message(key))

    async def _with_now(self, approval: Approval) -> approval_pb2.Approval:
        """For a person who is to decide: also what it comes to now."""
        message = _message(approval)
        message.now.extend(await self._reach.now(approval))
        return message


async def _decider() -> Identity:
    """The caller, where it may decide: a person, or a machine that policy lets."""
    identity = current_identity.get()
    if identity.machine:
        await require_also(APPROVE_AS_MACHINE)
    return identity


def _caller(identity: Identity) -> Caller:
    return Caller(identity.actor, identity.roles, identity.machine)


def _signature(given: approval_pb2.StatementSignature) -> GivenSignature:
    return GivenSignature(key_id=given.key_id, at_us=given.at_us, value=given.value)


def _state(number: "approval_pb2.ApprovalState.ValueType") -> ApprovalState:
    state = _STATE_OF.get(number)
    if state is None:
        raise InvalidArgument(
            "APPROVAL_STATE_UNKNOWN", "there is no such state of approvals", fix="leave states out for all"
        )
    return state


def _message(approval: Approval) -> approval_pb2.Approval:
    return approval_pb2.Approval(
        approval_id=str(approval.approval_id),
        tenant=approval.owner.name,
        platform=approval.platform,
        origin=approval.origin,
        kind=approval.kind,
        title=title_of(approval.kind),
        document=approval.document,
        digest=approval.digest,
        plan=explanation(approval.kind, approval.document) if approval.document else (),
        reason=approval.reason,
        ticket=approval.ticket,
        role=approval.role,
        quorum=approval.quorum,
        missing=approval.missing,
        requested_by=approval.requested_by,
        requested_us=to_us(approval.requested_at),
        expires_us=to_us(approval.expires_at),
        state=_STATES[approval.state],
        settled_by=approval.settled_by or "",
        settled_us=to_us(approval.settled_at) if approval.settled_at is not None else 0,
        superseded_by=str(approval.superseded_by) if approval.superseded_by is not None else "",
        decisions=[_decision_message(decision) for decision in approval.decisions],
    )


def _decision_message(decision: Decision) -> approval_pb2.Decision:
    message = approval_pb2.Decision(
        approver=decision.approver,
        decision=_DECISIONS[decision.word],
        decided_us=to_us(decision.decided_at),
        machine=decision.machine,
        reason=decision.reason,
        statement=decision.statement,
    )
    if decision.signature is not None:
        message.algorithm = decision.signature.algorithm
        message.public_key = decision.signature.public_key
        message.signature = decision.signature.value
    return message


def _key_message(key: ApproverKey) -> approval_pb2.ApproverKey:
    return approval_pb2.ApproverKey(
        key_id=key.key_id,
        approver=key.approver,
        algorithm=key.algorithm,
        public_key=key.public_key,
        registered_us=to_us(key.registered_at),
        revoked_us=to_us(key.revoked_at) if key.revoked_at is not None else 0,
        revoked_by=key.revoked_by or "",
        revoke_reason=key.revoke_reason or "",
    )
