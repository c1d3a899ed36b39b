"""`QuarantineService`: shows what broke its contract, and how."""

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from intelgraph.contracts.quarantine import EntryPlace, EntryState, Quarantine, QuarantineEntry
from intelgraph.errors import InvalidArgument
from intelgraph.gateway.identity import current_identity
from intelgraph.gateway.page_token import PageScope, page_size
from intelgraph.gateway.v1 import quarantine_pb2, quarantine_pb2_grpc
from intelgraph.gateway.violation_report import violation_report

if TYPE_CHECKING:
    import grpc

    Context = grpc.aio.ServicerContext[Any, Any]

_STATES: Final = {
    EntryState.QUARANTINED: quarantine_pb2.QUARANTINE_STATE_QUARANTINED,
    EntryState.STORED: quarantine_pb2.QUARANTINE_STATE_STORED,
}
_STATE_OF: Final = {number: state for state, number in _STATES.items()}


class QuarantineService(quarantine_pb2_grpc.QuarantineServiceServicer):
    """The quarantine of the caller's tenant."""

    def __init__(self, quarantine: Quarantine) -> None:
        self._quarantine = quarantine

    async def ListQuarantine(  # noqa: N802 (gRPC's name)
        self, request: quarantine_pb2.ListQuarantineRequest, context: "Context"
    ) -> quarantine_pb2.ListQuarantineResponse:
        tenant = current_identity.get().tenant
        state = _STATE_OF.get(request.state, EntryState.QUARANTINED)
        scope = PageScope(tenant.tenant_id, ("ListQuarantine", request.dataset, state.value))
        size = page_size(request.page_size, default=50, most=500)
        position = scope.position(request.page_token, int, str)
        before = EntryPlace(int(position[0]), UUID(str(position[1]))) if position else None
        found = await self._quarantine.page(tenant, request.dataset, before, size + 1, state)
        page = found.entries[:size]
        more = len(found.entries) > size
        return quarantine_pb2.ListQuarantineResponse(
            entries=[_message(entry) for entry in page],
            next_page_token=scope.token((page[-1].recorded_us, str(page[-1].quarantine_id))) if more else "",
            total_records=found.total_records,
        )

    async def GetQuarantine(  # noqa: N802 (gRPC's name)
        self, request: quarantine_pb2.GetQuarantineRequest, context: "Context"
    ) -> quarantine_pb2.GetQuarantineResponse:
        identity = current_identity.get()
        entry, opened, indexes = await self._quarantine.get(
            identity.tenant,
            _identifier(request.quarantine_id),
            with_records=request.with_records,
            by=identity.actor,
        )
        changes = (
            await self._quarantine.changes(identity.tenant, entry.quarantine_id)
            if request.with_records and entry.state == EntryState.STORED.value
            else ()
        )
        return quarantine_pb2.GetQuarantineResponse(
            entry=_message(entry),
            report=violation_report(opened.report),
            records=[
                quarantine_pb2.QuarantinedRecord(index=index, document=document)
                for index, document in zip(indexes, opened.documents, strict=True)
            ],
            changes=[
                quarantine_pb2.StoredChange(seq=change.seq, entity_id=str(change.entity_id))
                for change in changes
            ],
        )


def _identifier(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidArgument(
            "QUARANTINE_ID_INVALID",
            "the quarantine id is not a UUID",
            fix="copy it from an Ack or from the list",
        ) from None


def _message(entry: QuarantineEntry) -> quarantine_pb2.QuarantineEntry:
    return quarantine_pb2.QuarantineEntry(
        quarantine_id=str(entry.quarantine_id),
        dataset=entry.dataset,
        stream_id=entry.stream_id,
        sequence=entry.sequence,
        producer=entry.producer,
        records=entry.records,
        recorded_us=entry.recorded_us,
        contract_version=entry.contract_version,
        state=_STATES[EntryState(entry.state)],
    )
