"""The service of approvals: who may call for what, messages, pages."""

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from intelgraph.approvals.waiting import Waiting
from intelgraph.errors import IntelGraphError, InvalidArgument, PermissionDenied
from intelgraph.gateway.approval_service import APPROVE_AS_MACHINE, ApprovalService
from intelgraph.gateway.identity import Identity, current_identity
from intelgraph.gateway.v1 import approval_pb2
from intelgraph.policy.platform import granted_by
from intelgraph.tenants.registry import Tenant
from tests.approvals.world import OFFICER, PLAN, World
from tests.parts.ledger import TESTER
from tests.parts.policy import let_in

CONTEXT: Any = None  # the handlers do not look at it
DOCUMENT = json.dumps(PLAN).encode()
REQUEST = approval_pb2.RequestApprovalRequest(
    kind="manual.act", document=DOCUMENT, reason="old", role=OFFICER, ticket="SEC-1"
)


@pytest.fixture
def service(world: World) -> ApprovalService:
    return ApprovalService(world.approvals, world.keys, Waiting(world.database, world.approvals), world.reach)


def call_as(tenant: Tenant, subject: str, *roles: str, machine: bool = False) -> None:
    identity = Identity(tenant, subject, frozenset(roles or (OFFICER,)), float("inf"), "jwt", machine=machine)
    let_in(identity, "approval.approve")


async def requested(service: ApprovalService, world: World, by: str = "alice") -> approval_pb2.Approval:
    call_as(world.tenant, by)
    return (await service.RequestApproval(REQUEST, CONTEXT)).approval


async def test_an_approval_goes_round_trip(service: ApprovalService, world: World) -> None:
    asked = await requested(service, world)
    assert (asked.state, asked.missing, asked.requested_by) == (
        approval_pb2.APPROVAL_STATE_REQUESTED,
        1,
        "alice",
    )
    assert (asked.tenant, asked.title, asked.ticket) == ("acme", "act by hand", "SEC-1")
    assert asked.plan[0] == "A person does by hand: rotate the root key"
    assert json.loads(asked.document) == PLAN
    assert asked.expires_us - asked.requested_us == 24 * 3600 * 1_000_000
    assert asked.origin.startswith("intelgraph-gateway/")

    call_as(world.tenant, "bob")
    approved = await service.Approve(
        approval_pb2.ApproveRequest(approval_id=asked.approval_id, digest=asked.digest, reason="fine"),
        CONTEXT,
    )
    got = await service.GetApproval(approval_pb2.GetApprovalRequest(approval_id=asked.approval_id), CONTEXT)
    assert got.approval == approved.approval
    assert got.approval.state == approval_pb2.APPROVAL_STATE_APPROVED
    (decision,) = got.approval.decisions
    assert (decision.approver, decision.decision, decision.reason, decision.signature) == (
        "bob",
        approval_pb2.APPROVAL_DECISION_APPROVE,
        "fine",
        b"",
    )
    assert json.loads(decision.statement)["approver"] == "bob"

    call_as(world.tenant, "alice")
    withdrawn = await service.Withdraw(approval_pb2.WithdrawRequest(approval_id=asked.approval_id), CONTEXT)
    assert withdrawn.approval.state == approval_pb2.APPROVAL_STATE_WITHDRAWN
    assert withdrawn.approval.settled_by == "alice"
    assert withdrawn.approval.settled_us > asked.requested_us


async def test_a_share_says_whom_it_comes_to_now(service: ApprovalService, world: World) -> None:
    for n in range(9):
        await world.tenants.create(f"tenant-{n}", by=TESTER)
    gone = await world.tenants.create("gone", by=TESTER)
    await world.tenants.offboard(gone.name, by=TESTER)
    call_as(world.platform, "alice")
    for percent, told in (
        (100, "12 of 12 tenants have off then: acme, local, other, tenant-0, tenant-1 and 7 more."),
        (0, "0 of 12 tenants have off then."),
    ):
        plan = {
            "flag": "temporal",
            "before": "on for all tenants",
            "after": "off",
            "tenant": None,
            "share_percent": percent,
        }
        asked = await service.RequestApproval(
            approval_pb2.RequestApprovalRequest(
                kind="flag.change", document=json.dumps(plan).encode(), reason="r", platform=True
            ),
            CONTEXT,
        )
        assert asked.approval.plan[1].startswith(
            "What off does: as-of reads, History, Diff and Changes are not"
        )
        assert list(asked.approval.now) == [f"As things are now, {told}"]
        withdrawn = await service.Withdraw(
            approval_pb2.WithdrawRequest(approval_id=asked.approval.approval_id), CONTEXT
        )
        got = await service.GetApproval(
            approval_pb2.GetApprovalRequest(approval_id=withdrawn.approval.approval_id), CONTEXT
        )
        assert list(got.approval.now) == []


async def test_a_machine_decides_nothing_unless_it_has_the_role_for_it(
    service: ApprovalService, world: World
) -> None:
    asked = await requested(service, world)
    approve = approval_pb2.ApproveRequest(approval_id=asked.approval_id, digest=asked.digest)
    deny = approval_pb2.DenyRequest(approval_id=asked.approval_id, reason="no")
    call_as(world.tenant, "robot", machine=True)
    for act in (
        service.Approve(approve, CONTEXT),
        service.Deny(deny, CONTEXT),
        service.RegisterApproverKey(approval_pb2.RegisterApproverKeyRequest(), CONTEXT),
        service.RevokeApproverKey(approval_pb2.RevokeApproverKeyRequest(reason="r"), CONTEXT),
    ):
        with pytest.raises(PermissionDenied) as caught:
            await act
        assert caught.value.metadata == {"permission": APPROVE_AS_MACHINE}
    # It may ask, and it may look.
    await service.RequestApproval(REQUEST, CONTEXT)
    await service.ListApprovals(approval_pb2.ListApprovalsRequest(), CONTEXT)

    call_as(world.tenant, "robot", OFFICER, "machine-approver", machine=True)
    approved = await service.Approve(approve, CONTEXT)
    assert approved.approval.decisions[0].machine


def test_the_role_of_machines_that_decide_grants_nothing_else() -> None:
    granted = {permission for permission, roles in granted_by().items() if "machine-approver" in roles}
    assert granted == {APPROVE_AS_MACHINE}
    assert granted_by()[APPROVE_AS_MACHINE] == {"machine-approver"}


async def test_pages_and_filters(service: ApprovalService, world: World) -> None:
    made = [(await requested(service, world)).approval_id for _ in range(5)]
    await service.Withdraw(approval_pb2.WithdrawRequest(approval_id=made[0]), CONTEXT)
    request = approval_pb2.ListApprovalsRequest(page_size=2)
    listed: list[str] = []
    while not listed or request.page_token:
        page = await service.ListApprovals(request, CONTEXT)
        listed += [approval.approval_id for approval in page.approvals]
        request.page_token = page.next_page_token
    assert listed == made[::-1]

    states = [approval_pb2.APPROVAL_STATE_WITHDRAWN]
    page = await service.ListApprovals(approval_pb2.ListApprovalsRequest(states=states), CONTEXT)
    assert [approval.approval_id for approval in page.approvals] == made[:1]
    page = await service.ListApprovals(approval_pb2.ListApprovalsRequest(kind="flag.change"), CONTEXT)
    assert not page.approvals

    token = (
        await service.ListApprovals(approval_pb2.ListApprovalsRequest(page_size=2), CONTEXT)
    ).next_page_token
    call_as(world.stranger, "mallory")
    with pytest.raises(InvalidArgument, match="PAGE_TOKEN_INVALID"):
        await service.ListApprovals(approval_pb2.ListApprovalsRequest(page_size=2, page_token=token), CONTEXT)


async def test_what_is_malformed_is_refused(service: ApprovalService, world: World) -> None:
    call_as(world.tenant, "alice")
    for act, reason in (
        (
            service.GetApproval(approval_pb2.GetApprovalRequest(approval_id="x"), CONTEXT),
            "APPROVAL_ID_INVALID",
        ),
        (
            service.ListApprovals(
                approval_pb2.ListApprovalsRequest(states=[approval_pb2.APPROVAL_STATE_UNSPECIFIED]), CONTEXT
            ),
            "APPROVAL_STATE_UNKNOWN",
        ),
        (
            service.RequestApproval(approval_pb2.RequestApprovalRequest(kind="x"), CONTEXT),
            "APPROVAL_KIND_UNKNOWN",
        ),
        (
            service.GetApproval(approval_pb2.GetApprovalRequest(approval_id=str(UUID(int=1))), CONTEXT),
            "APPROVAL_NOT_FOUND",
        ),
    ):
        with pytest.raises(IntelGraphError) as caught:
            await act
        assert caught.value.reason == reason


async def test_what_concerns_the_platform_is_asked_for_there(service: ApprovalService, world: World) -> None:
    request = approval_pb2.RequestApprovalRequest()
    request.CopyFrom(REQUEST)
    request.platform = True
    call_as(world.tenant, "alice")
    with pytest.raises(PermissionDenied, match="PLATFORM_TENANT_ONLY"):
        await service.RequestApproval(request, CONTEXT)
    call_as(world.platform, "alice")
    asked = (await service.RequestApproval(request, CONTEXT)).approval
    assert (asked.platform, asked.tenant) == (True, "local")
    call_as(world.tenant, "bob")
    with pytest.raises(IntelGraphError, match="APPROVAL_NOT_FOUND"):
        await service.GetApproval(approval_pb2.GetApprovalRequest(approval_id=asked.approval_id), CONTEXT)


async def test_an_identity_is_a_person_by_its_subject(world: World, service: ApprovalService) -> None:
    asked = await requested(service, world)
    call_as(world.tenant, "alice")
    current_identity.set(
        replace(current_identity.get(), method="mtls", roles=frozenset({OFFICER, "auditor"}))
    )
    with pytest.raises(PermissionDenied, match="APPROVAL_OWN_REQUEST"):
        await service.Approve(
            approval_pb2.ApproveRequest(approval_id=asked.approval_id, digest=asked.digest), CONTEXT
        )
