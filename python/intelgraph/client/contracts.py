"""Data contracts: publishing, reading, checking records against one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from intelgraph.client.times import from_us
from intelgraph.gateway.v1 import contract_pb2, contract_pb2_grpc

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import grpc

    from intelgraph.client.calls import Caller


@dataclass(frozen=True, slots=True)
class Contract:
    """A published contract."""

    dataset: str
    version: str
    """Semantic version."""
    digest: bytes
    """SHA-256 of the document's canonical form (RFC 8785)."""
    published_us: int
    """Microseconds since the Unix epoch."""
    document: bytes = field(repr=False)
    """JSON in canonical form; empty in lists."""

    @property
    def published(self) -> datetime:
        """When it was published."""
        return from_us(self.published_us)

    def json(self) -> Any:
        """The parsed document."""
        return orjson.loads(self.document)


@dataclass(frozen=True, slots=True)
class RetentionEffect:
    """What a version does to how long its dataset is kept: the newest version decides."""

    stated: str
    """Retention class of the version itself."""
    before: str
    """Class that holds for the dataset without it; empty where there was no contract."""
    after: str
    """Class that holds for the dataset with it; that of a newer version, where there is one."""
    shortens: bool
    """Whether it lifts a legal hold, or keeps the dataset for less long: that takes an approval."""
    due_changes: int
    """If it shortens, the most changes that are due at once; before it is published, if that is done within a day."""
    due_quarantined: int
    """Likewise, records in quarantine."""


@dataclass(frozen=True, slots=True)
class Published:
    """What came of publishing."""

    contract: Contract
    created: bool
    """False where the very same document was already published."""
    retention: RetentionEffect


@dataclass(frozen=True, slots=True)
class Prospect:
    """What would come of publishing."""

    contract: Contract
    """Without its document; without the time where it is not published."""
    published: bool
    """Whether the very same document is published already."""
    retention: RetentionEffect
    approval_document: str
    """What an approval of the kind `contract.shorten_retention` has to say; empty where it takes none."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Records that break one rule at one place. No value of a record is in it."""

    rule: str
    """A JSON Schema keyword, or an UPPER_SNAKE rule of the gateway."""
    instance_pointer: str
    """RFC 6901 pointer into the record, array indexes as `*`."""
    schema_pointer: str
    """RFC 6901 pointer into the contract document; empty where the record is not one JSON object."""
    count: int
    """How often it was broken."""
    record_indexes: tuple[int, ...]
    """Indexes, within the batch, of the first records that break it."""
    found: str
    """What was found: type, length and class."""
    fix: str
    """What to do about it."""


@dataclass(frozen=True, slots=True)
class ViolationReport:
    """Violations grouped by rule and place, most frequent first."""

    contract_digest: bytes
    violations: tuple[Violation, ...]
    omitted_violations: int
    """Violations whose groups were left out to keep the report bounded."""


@dataclass(frozen=True, slots=True)
class Validation:
    """What a check of records found."""

    valid: int
    invalid: int
    report: ViolationReport


class Contracts:
    """Publishes and reads contracts."""

    def __init__(self, channel: grpc.aio.Channel, caller: Caller) -> None:
        self._stub = contract_pb2_grpc.ContractServiceStub(channel)
        self._caller = caller

    async def put(
        self, document: bytes, *, approval: UUID | None = None, timeout: float | None = None
    ) -> Published:
        """Publishes a contract document (JSON). The same document again changes nothing.

        One that lifts a legal hold, or keeps its dataset for less long, needs `approval`; raises FailedPrecondition
        APPROVAL_MISSING without one, whose metadata has the document that it takes. Raises InvalidArgument with the
        violations of a document that is not a contract, and AlreadyExists where another document was published under
        the same dataset and version.
        """
        request = contract_pb2.UpsertContractRequest(
            document=document, approval_id=str(approval) if approval is not None else ""
        )
        response = await self._caller.call(self._stub.UpsertContract, request, timeout)
        return Published(_contract(response.contract), response.created, _effect(response.retention))

    async def check(self, document: bytes, *, timeout: float | None = None) -> Prospect:
        """What would come of publishing a document, which is not published. Raises as `put`, but for approvals."""
        request = contract_pb2.CheckContractRequest(document=document)
        response = await self._caller.call(self._stub.CheckContract, request, timeout)
        return Prospect(
            contract=_contract(response.contract),
            published=response.published,
            retention=_effect(response.retention),
            approval_document=response.approval_document,
        )

    async def get(self, dataset: str, version: str = "", *, timeout: float | None = None) -> Contract:
        """A version of a contract with its document, by default the newest. Raises NotFound."""
        request = contract_pb2.GetContractRequest(dataset=dataset, version=version)
        response = await self._caller.call(self._stub.GetContract, request, timeout)
        return _contract(response.contract)

    async def list(self, dataset: str = "", *, timeout: float | None = None) -> AsyncIterator[Contract]:
        """Contracts without their documents, by dataset, newest version first."""
        token = ""
        while True:
            request = contract_pb2.ListContractsRequest(dataset=dataset, page_token=token)
            page = await self._caller.call(self._stub.ListContracts, request, timeout)
            for contract in page.contracts:
                yield _contract(contract)
            token = page.next_page_token
            if not token:
                return

    async def validate(
        self, records: Iterable[bytes], dataset: str, version: str = "", *, timeout: float | None = None
    ) -> Validation:
        """Checks JSON records against a published contract, by default the newest; stores nothing."""
        request = contract_pb2.ValidateRecordsRequest(
            published=contract_pb2.ContractVersion(dataset=dataset, version=version), records=records
        )
        return await self._validate(request, timeout)

    async def validate_against(
        self, records: Iterable[bytes], document: bytes, *, timeout: float | None = None
    ) -> Validation:
        """Checks JSON records against a contract document that need not be published; stores nothing.

        Raises InvalidArgument with the violations of a document that is not a contract.
        """
        request = contract_pb2.ValidateRecordsRequest(document=document, records=records)
        return await self._validate(request, timeout)

    async def _validate(
        self, request: contract_pb2.ValidateRecordsRequest, timeout: float | None
    ) -> Validation:
        response = await self._caller.call(self._stub.ValidateRecords, request, timeout)
        return Validation(response.valid, response.invalid, violation_report(response.report))


def violation_report(report: contract_pb2.ViolationReport) -> ViolationReport:
    """The report in the client's terms."""
    return ViolationReport(
        contract_digest=report.contract_digest,
        violations=tuple(
            Violation(
                rule=violation.rule,
                instance_pointer=violation.instance_pointer,
                schema_pointer=violation.schema_pointer,
                count=violation.count,
                record_indexes=tuple(violation.record_indexes),
                found=violation.found,
                fix=violation.fix,
            )
            for violation in report.violations
        ),
        omitted_violations=report.omitted_violations,
    )


def _effect(effect: contract_pb2.RetentionEffect) -> RetentionEffect:
    return RetentionEffect(
        stated=effect.stated,
        before=effect.before,
        after=effect.after,
        shortens=effect.shortens,
        due_changes=effect.due_changes,
        due_quarantined=effect.due_quarantined,
    )


def _contract(contract: contract_pb2.Contract) -> Contract:
    return Contract(
        dataset=contract.dataset,
        version=contract.version,
        digest=contract.digest,
        published_us=contract.published_us,
        document=contract.document,
    )
