"""The other services on the real wire, with answers that are fixed and faults on demand."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import grpc

from intelgraph import errors
from intelgraph.gateway.v1 import (
    approval_pb2,
    approval_pb2_grpc,
    contract_pb2,
    contract_pb2_grpc,
    entity_pb2,
    entity_pb2_grpc,
    envelope_pb2,
    envelope_pb2_grpc,
    quarantine_pb2,
    quarantine_pb2_grpc,
    tenant_pb2,
    tenant_pb2_grpc,
)
from tests.client.fake_gateway import end

ENTITY_ID = "6d2c35e6-9c86-5b8f-8d2f-3f8e0c1c7f10"
APPROVAL_ID = "5a1f7c52-0f0e-4a54-9c6f-0f6f0b7f3a10"
QUARANTINE_ID = "0b8b5f7e-53b4-4f0e-9f55-2c7c6b1f6a11"


def version(seq: int, document: bytes = b'{"temp":1}') -> entity_pb2.EntityVersion:
    return entity_pb2.EntityVersion(
        entity_id=ENTITY_ID,
        dataset="weather",
        seq=seq,
        version=seq,
        operation=entity_pb2.CHANGE_OPERATION_UPDATE,
        recorded_us=2_000_000,
        valid_at_us=1_000_000,
        contract_digest=b"d" * 32,
        document=document,
    )


class FakeEntities(entity_pb2_grpc.EntityServiceServicer):
    """Five versions in pages of two; a change log of `last_seq` changes, cut after every third response."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.unavailable = 0
        self.last_seq = 10
        self.cut_after = 3
        self.cuts_before_answer = 0
        self.delay = 0.0

    async def Get(self, request: entity_pb2.GetRequest, context: Any) -> entity_pb2.GetResponse:  # noqa: N802 - the wire's name
        self.requests.append(request)
        await asyncio.sleep(self.delay)
        if self.unavailable:
            self.unavailable -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")
        if request.entity.dataset == "unknown":
            await end(context, errors.NotFound("ENTITY_UNKNOWN", "no such entity", fix="check the key"))
        return entity_pb2.GetResponse(version=version(1), as_of_seq=9)

    async def Diff(self, request: entity_pb2.DiffRequest, context: Any) -> entity_pb2.DiffResponse:  # noqa: N802 - the wire's name
        self.requests.append(request)
        return entity_pb2.DiffResponse(
            to=version(2), json_patch=b"[]", diff=b'[["a","/temp",1]]', as_of_seq=9
        )

    async def History(  # noqa: N802 - the wire's name
        self, request: entity_pb2.HistoryRequest, context: Any
    ) -> entity_pb2.HistoryResponse:
        self.requests.append(request)
        newest = int(request.page_token or 5)
        entries = [
            entity_pb2.HistoryEntry(version=version(seq), diff=b"[]")
            for seq in range(newest, max(newest - 2, 0), -1)
        ]
        following = str(newest - 2) if newest > 2 else ""
        return entity_pb2.HistoryResponse(entries=entries, next_page_token=following)

    async def Changes(  # noqa: N802 - the wire's name
        self, request: entity_pb2.ChangesRequest, context: Any
    ) -> AsyncIterator[entity_pb2.ChangesResponse]:
        self.requests.append(request)
        if self.cuts_before_answer:
            self.cuts_before_answer -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")
        after = request.after_seq
        for _ in range(self.cut_after):
            if after >= self.last_seq:
                return
            entries = [entity_pb2.HistoryEntry(version=version(after + 1))]
            after += 2
            yield entity_pb2.ChangesResponse(entries=entries, resume_after_seq=after)
        await context.abort(grpc.StatusCode.UNAVAILABLE, "cut")


HELD = b'{"retention":"ephemeral-7d"}'
SHORTEN = "contract.shorten_retention"
APPROVAL_DOCUMENT = '{"after":"ephemeral-7d","before":"legal-hold"}'


class FakeContracts(contract_pb2_grpc.ContractServiceServicer):
    """One contract, two versions; the document `HELD` lifts a hold."""

    def __init__(self) -> None:
        self.document = b'{"schema":{}}'
        self.approvals: list[str] = []

    async def UpsertContract(  # noqa: N802 - the wire's name
        self, request: contract_pb2.UpsertContractRequest, context: Any
    ) -> contract_pb2.UpsertContractResponse:
        if request.document == b"{}":
            violation = errors.FieldViolation("/mapping", "is required")
            await end(context, errors.InvalidArgument("CONTRACT_INVALID", "no", violations=(violation,)))
        self.approvals.append(request.approval_id)
        if request.document == HELD and not request.approval_id:
            metadata = {"kind": SHORTEN, "document": APPROVAL_DOCUMENT, "platform": "false"}
            await end(context, errors.FailedPrecondition("APPROVAL_MISSING", "it lifts", metadata=metadata))
        return contract_pb2.UpsertContractResponse(
            contract=self._contract("1.0.0"), created=True, retention=self._effect(request.document)
        )

    async def CheckContract(  # noqa: N802 - the wire's name
        self, request: contract_pb2.CheckContractRequest, context: Any
    ) -> contract_pb2.CheckContractResponse:
        return contract_pb2.CheckContractResponse(
            contract=contract_pb2.Contract(dataset="weather", version="1.2.0", digest=b"d" * 32),
            retention=self._effect(request.document),
            approval_document=APPROVAL_DOCUMENT if request.document == HELD else "",
        )

    async def GetContract(  # noqa: N802 - the wire's name
        self, request: contract_pb2.GetContractRequest, context: Any
    ) -> contract_pb2.GetContractResponse:
        return contract_pb2.GetContractResponse(contract=self._contract(request.version or "1.1.0"))

    async def ListContracts(  # noqa: N802 - the wire's name
        self, request: contract_pb2.ListContractsRequest, context: Any
    ) -> contract_pb2.ListContractsResponse:
        if request.page_token:
            return contract_pb2.ListContractsResponse(contracts=[self._contract("1.0.0")])
        return contract_pb2.ListContractsResponse(contracts=[self._contract("1.1.0")], next_page_token="2")

    async def ValidateRecords(  # noqa: N802 - the wire's name
        self, request: contract_pb2.ValidateRecordsRequest, context: Any
    ) -> contract_pb2.ValidateRecordsResponse:
        return contract_pb2.ValidateRecordsResponse(
            valid=len(request.records) - 1, invalid=1, report=report(request.WhichOneof("contract") or "")
        )

    def _effect(self, document: bytes) -> contract_pb2.RetentionEffect:
        if document != HELD:
            return contract_pb2.RetentionEffect(stated="short-30d", after="short-30d")
        return contract_pb2.RetentionEffect(
            stated="ephemeral-7d",
            before="legal-hold",
            after="ephemeral-7d",
            shortens=True,
            due_changes=36_500,
            due_quarantined=12,
        )

    def _contract(self, number: str) -> contract_pb2.Contract:
        return contract_pb2.Contract(
            dataset="weather", version=number, digest=b"d" * 32, document=self.document, published_us=1
        )


def report(rule: str) -> contract_pb2.ViolationReport:
    violation = contract_pb2.Violation(
        rule=rule, instance_pointer="/tailnum", count=3, record_indexes=[0, 4], found="null", fix="fill it"
    )
    return contract_pb2.ViolationReport(contract_digest=b"d" * 32, violations=[violation])


class FakeQuarantine(quarantine_pb2_grpc.QuarantineServiceServicer):
    """One entry."""

    async def ListQuarantine(  # noqa: N802 - the wire's name
        self, request: quarantine_pb2.ListQuarantineRequest, context: Any
    ) -> quarantine_pb2.ListQuarantineResponse:
        return quarantine_pb2.ListQuarantineResponse(entries=[self._entry()], total_records=2512)

    async def GetQuarantine(  # noqa: N802 - the wire's name
        self, request: quarantine_pb2.GetQuarantineRequest, context: Any
    ) -> quarantine_pb2.GetQuarantineResponse:
        records = [quarantine_pb2.QuarantinedRecord(index=4, document=b"{}")] if request.with_records else []
        return quarantine_pb2.GetQuarantineResponse(
            entry=self._entry(), report=report("required"), records=records
        )

    def _entry(self) -> quarantine_pb2.QuarantineEntry:
        return quarantine_pb2.QuarantineEntry(
            quarantine_id=QUARANTINE_ID,
            dataset="flights",
            records=3,
            state=quarantine_pb2.QUARANTINE_STATE_QUARANTINED,
        )


class FakeEnvelopes(envelope_pb2_grpc.EnvelopeServiceServicer):
    """Reverses bytes; refuses to open what does not begin with `!`."""

    async def Encrypt(  # noqa: N802 - the wire's name
        self, request: envelope_pb2.EncryptRequest, context: Any
    ) -> envelope_pb2.EncryptResponse:
        return envelope_pb2.EncryptResponse(envelopes=[b"!" + text[::-1] for text in request.plaintexts])

    async def Decrypt(  # noqa: N802 - the wire's name
        self, request: envelope_pb2.DecryptRequest, context: Any
    ) -> envelope_pb2.DecryptResponse:
        wrong = errors.to_status(errors.InvalidArgument("ENVELOPE_FORGED", "does not open"))
        return envelope_pb2.DecryptResponse(
            results=[
                envelope_pb2.DecryptResult(plaintext=sealed[:0:-1])
                if sealed.startswith(b"!")
                else envelope_pb2.DecryptResult(error=wrong)
                for sealed in request.envelopes
            ]
        )


class FakeTenants(tenant_pb2_grpc.TenantServiceServicer):
    """Answers with the tenant that was asked for."""

    async def CreateTenant(  # noqa: N802 - the wire's name
        self, request: tenant_pb2.CreateTenantRequest, context: Any
    ) -> tenant_pb2.CreateTenantResponse:
        return tenant_pb2.CreateTenantResponse(tenant=self._tenant(request.name, request.limits))

    async def ListTenants(  # noqa: N802 - the wire's name
        self, request: tenant_pb2.ListTenantsRequest, context: Any
    ) -> tenant_pb2.ListTenantsResponse:
        return tenant_pb2.ListTenantsResponse(tenants=[self._tenant("local", tenant_pb2.TenantLimits())])

    async def UpdateTenantLimits(  # noqa: N802 - the wire's name
        self, request: tenant_pb2.UpdateTenantLimitsRequest, context: Any
    ) -> tenant_pb2.UpdateTenantLimitsResponse:
        return tenant_pb2.UpdateTenantLimitsResponse(tenant=self._tenant(request.name, request.limits))

    async def SuspendTenant(  # noqa: N802 - the wire's name
        self, request: tenant_pb2.SuspendTenantRequest, context: Any
    ) -> tenant_pb2.SuspendTenantResponse:
        state = tenant_pb2.TENANT_STATE_ACTIVE if request.resume else tenant_pb2.TENANT_STATE_SUSPENDED
        return tenant_pb2.SuspendTenantResponse(
            tenant=self._tenant(request.name, tenant_pb2.TenantLimits(), state)
        )

    async def OffboardTenant(  # noqa: N802 - the wire's name
        self, request: tenant_pb2.OffboardTenantRequest, context: Any
    ) -> tenant_pb2.OffboardTenantResponse:
        return tenant_pb2.OffboardTenantResponse(
            tenant=self._tenant(request.name, tenant_pb2.TenantLimits(), tenant_pb2.TENANT_STATE_OFFBOARDED)
        )

    def _tenant(
        self,
        name: str,
        limits: tenant_pb2.TenantLimits,
        state: tenant_pb2.TenantState.ValueType = tenant_pb2.TENANT_STATE_ACTIVE,
    ) -> tenant_pb2.Tenant:
        return tenant_pb2.Tenant(tenant_id=ENTITY_ID, name=name, state=state, limits=limits, created_us=1)


class FakeApprovals(approval_pb2_grpc.ApprovalServiceServicer):
    """One approval that waits; a watch that breaks once before it has told all."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.document = b'{"steps":[],"summary":"rotate"}'
        self.cuts = 1

    async def RequestApproval(  # noqa: N802 - the wire's name
        self, request: approval_pb2.RequestApprovalRequest, context: Any
    ) -> approval_pb2.RequestApprovalResponse:
        self.requests.append(request)
        return approval_pb2.RequestApprovalResponse(approval=self._approval())

    async def GetApproval(  # noqa: N802 - the wire's name
        self, request: approval_pb2.GetApprovalRequest, context: Any
    ) -> approval_pb2.GetApprovalResponse:
        return approval_pb2.GetApprovalResponse(approval=self._approval())

    async def ListApprovals(  # noqa: N802 - the wire's name
        self, request: approval_pb2.ListApprovalsRequest, context: Any
    ) -> approval_pb2.ListApprovalsResponse:
        self.requests.append(request)
        approval = self._approval()
        approval.document = b""
        following = "" if request.page_token else "2"
        return approval_pb2.ListApprovalsResponse(approvals=[approval], next_page_token=following)

    async def Approve(  # noqa: N802 - the wire's name
        self, request: approval_pb2.ApproveRequest, context: Any
    ) -> approval_pb2.ApproveResponse:
        self.requests.append(request)
        return approval_pb2.ApproveResponse(approval=self._approval(approval_pb2.APPROVAL_STATE_APPROVED))

    async def Deny(  # noqa: N802 - the wire's name
        self, request: approval_pb2.DenyRequest, context: Any
    ) -> approval_pb2.DenyResponse:
        self.requests.append(request)
        return approval_pb2.DenyResponse(approval=self._approval(approval_pb2.APPROVAL_STATE_DENIED))

    async def Withdraw(  # noqa: N802 - the wire's name
        self, request: approval_pb2.WithdrawRequest, context: Any
    ) -> approval_pb2.WithdrawResponse:
        return approval_pb2.WithdrawResponse(approval=self._approval(approval_pb2.APPROVAL_STATE_WITHDRAWN))

    async def WatchApprovals(  # noqa: N802 - the wire's name
        self, request: approval_pb2.WatchApprovalsRequest, context: Any
    ) -> AsyncIterator[approval_pb2.WatchApprovalsResponse]:
        self.requests.append(request)
        yield approval_pb2.WatchApprovalsResponse(approval=self._approval(), awaits_caller=True)
        if self.cuts:
            self.cuts -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
        yield approval_pb2.WatchApprovalsResponse(caught_up=True)
        yield approval_pb2.WatchApprovalsResponse(approval=self._approval(approval_pb2.APPROVAL_STATE_DENIED))

    async def RegisterApproverKey(  # noqa: N802 - the wire's name
        self, request: approval_pb2.RegisterApproverKeyRequest, context: Any
    ) -> approval_pb2.RegisterApproverKeyResponse:
        self.requests.append(request)
        return approval_pb2.RegisterApproverKeyResponse(key=self._key())

    async def ListApproverKeys(  # noqa: N802 - the wire's name
        self, request: approval_pb2.ListApproverKeysRequest, context: Any
    ) -> approval_pb2.ListApproverKeysResponse:
        return approval_pb2.ListApproverKeysResponse(
            keys=[self._key()], origin="log", caller_tenant="acme", caller="bob"
        )

    async def RevokeApproverKey(  # noqa: N802 - the wire's name
        self, request: approval_pb2.RevokeApproverKeyRequest, context: Any
    ) -> approval_pb2.RevokeApproverKeyResponse:
        self.requests.append(request)
        key = self._key()
        key.revoked_us = 9
        return approval_pb2.RevokeApproverKeyResponse(key=key)

    def _approval(
        self, state: approval_pb2.ApprovalState.ValueType = approval_pb2.APPROVAL_STATE_REQUESTED
    ) -> approval_pb2.Approval:
        return approval_pb2.Approval(
            approval_id=APPROVAL_ID,
            tenant="acme",
            origin="log",
            kind="manual.act",
            document=self.document,
            digest=hashlib.sha256(b'{"steps":[],"summary":"rotate"}').digest(),
            plan=["A person does by hand: rotate"],
            role="security-officer",
            quorum=2,
            missing=1,
            requested_by="alice",
            requested_us=1,
            expires_us=2,
            state=state,
            decisions=[
                approval_pb2.Decision(
                    approver="carol", decision=approval_pb2.APPROVAL_DECISION_APPROVE, statement=b"{}"
                )
            ],
        )

    def _key(self) -> approval_pb2.ApproverKey:
        return approval_pb2.ApproverKey(
            key_id=b"k" * 32, approver="bob", algorithm="Ed25519", public_key=b"der"
        )


class FakeServices:
    """All of them, as `serving` takes them."""

    def __init__(self) -> None:
        self.entities = FakeEntities()
        self.contracts = FakeContracts()
        self.approvals = FakeApprovals()

    def servicers(self) -> tuple[tuple[Any, Any], ...]:
        return (
            (entity_pb2_grpc.add_EntityServiceServicer_to_server, self.entities),
            (contract_pb2_grpc.add_ContractServiceServicer_to_server, self.contracts),
            (quarantine_pb2_grpc.add_QuarantineServiceServicer_to_server, FakeQuarantine()),
            (envelope_pb2_grpc.add_EnvelopeServiceServicer_to_server, FakeEnvelopes()),
            (tenant_pb2_grpc.add_TenantServiceServicer_to_server, FakeTenants()),
            (approval_pb2_grpc.add_ApprovalServiceServicer_to_server, self.approvals),
        )
