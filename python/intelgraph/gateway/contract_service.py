"""`ContractService`: publishes and serves data contracts, and checks records against one."""

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from intelgraph.approvals.document import PlanDocument
from intelgraph.contracts.compiling import compile_contract
from intelgraph.contracts.publishing import ContractPublisher
from intelgraph.contracts.registry import ContractPlace, ContractRegistry, PublishedContract
from intelgraph.contracts.retention import Due, RetentionEffect
from intelgraph.errors import InvalidArgument
from intelgraph.gateway.approval_id import approval_id_if_given
from intelgraph.gateway.identity import current_identity
from intelgraph.gateway.page_token import PageScope, page_size
from intelgraph.gateway.v1 import contract_pb2, contract_pb2_grpc
from intelgraph.gateway.violation_report import violation_report

if TYPE_CHECKING:
    import grpc

    from intelgraph._core import Contract
    from intelgraph.tenants.registry import Tenant

    Context = grpc.aio.ServicerContext[Any, Any]

MAX_RECORDS: Final = 10_000
"""Records of one check; their bytes are bounded by the size of a message."""


class ContractService(contract_pb2_grpc.ContractServiceServicer):
    """Contracts of the caller's tenant."""

    def __init__(self, registry: ContractRegistry, publisher: ContractPublisher) -> None:
        self._registry = registry
        self._publisher = publisher

    async def UpsertContract(  # noqa: N802 (gRPC's name)
        self, request: contract_pb2.UpsertContractRequest, context: "Context"
    ) -> contract_pb2.UpsertContractResponse:
        identity = current_identity.get()
        done = await self._publisher.publish(
            identity.tenant,
            request.document,
            by=identity.actor,
            approval_id=approval_id_if_given(request.approval_id),
        )
        return contract_pb2.UpsertContractResponse(
            contract=_message(done.contract),
            created=done.created,
            retention=_effect(done.retention, done.due),
        )

    async def CheckContract(  # noqa: N802 (gRPC's name)
        self, request: contract_pb2.CheckContractRequest, context: "Context"
    ) -> contract_pb2.CheckContractResponse:
        found = await self._publisher.check(current_identity.get().tenant, request.document)
        return contract_pb2.CheckContractResponse(
            contract=contract_pb2.Contract(
                dataset=found.dataset,
                version=found.version,
                digest=found.digest,
                published_us=found.published_us or 0,
            ),
            published=found.published_us is not None,
            retention=_effect(found.retention, found.due),
            approval_document=PlanDocument.of(found.plan).content.decode() if found.plan is not None else "",
        )

    async def GetContract(  # noqa: N802 (gRPC's name)
        self, request: contract_pb2.GetContractRequest, context: "Context"
    ) -> contract_pb2.GetContractResponse:
        tenant = current_identity.get().tenant
        published = await self._registry.get(tenant, request.dataset, request.version)
        return contract_pb2.GetContractResponse(contract=_message(published))

    async def ListContracts(  # noqa: N802 (gRPC's name)
        self, request: contract_pb2.ListContractsRequest, context: "Context"
    ) -> contract_pb2.ListContractsResponse:
        tenant = current_identity.get().tenant
        scope = PageScope(tenant.tenant_id, ("ListContracts", request.dataset))
        size = page_size(request.page_size, default=100, most=1000)
        position = scope.position(request.page_token, str, str)
        after = ContractPlace(str(position[0]), str(position[1])) if position else None
        contracts = await self._registry.page(tenant, request.dataset, after, size + 1)
        page = contracts[:size]
        more = len(contracts) > size
        return contract_pb2.ListContractsResponse(
            contracts=[_message(contract) for contract in page],
            next_page_token=scope.token((page[-1].dataset, page[-1].version)) if more else "",
        )

    async def ValidateRecords(  # noqa: N802 (gRPC's name)
        self, request: contract_pb2.ValidateRecordsRequest, context: "Context"
    ) -> contract_pb2.ValidateRecordsResponse:
        if len(request.records) > MAX_RECORDS:
            raise InvalidArgument(
                "TOO_MANY_RECORDS",
                f"{len(request.records)} records are more than one check takes, which is {MAX_RECORDS}",
                fix="check a sample, or check in parts",
            )
        contract = await self._contract(current_identity.get().tenant, request)
        valid, invalid, report = await asyncio.to_thread(
            contract.validate, list(request.records), time.time_ns() // 1000
        )
        return contract_pb2.ValidateRecordsResponse(
            valid=valid, invalid=invalid, report=violation_report(report)
        )

    async def _contract(self, tenant: "Tenant", request: contract_pb2.ValidateRecordsRequest) -> "Contract":
        match request.WhichOneof("contract"):
            case "published":
                wanted = request.published
                return (await self._registry.get(tenant, wanted.dataset, wanted.version)).compiled()
            case "document":
                return compile_contract(request.document)
            case _:
                raise InvalidArgument(
                    "CONTRACT_MISSING",
                    "the request names no contract to check against",
                    fix="set `published` or `document`",
                )


def _message(published: PublishedContract) -> contract_pb2.Contract:
    return contract_pb2.Contract(
        dataset=published.dataset,
        version=published.version,
        digest=published.digest,
        document=published.document,
        published_us=published.published_us,
    )


def _effect(effect: RetentionEffect, due: Due) -> contract_pb2.RetentionEffect:
    return contract_pb2.RetentionEffect(
        stated=effect.stated,
        before=effect.before or "",
        after=effect.after,
        shortens=effect.shortens,
        due_changes=due.changes,
        due_quarantined=due.quarantined,
    )
