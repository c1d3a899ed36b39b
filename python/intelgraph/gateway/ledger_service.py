"""`LedgerService`: entries for who may see them, proofs for everyone."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from intelgraph.errors import InvalidArgument, NotFound, PermissionDenied
from intelgraph.gateway.approval_id import approval_id_if_given
from intelgraph.gateway.identity import Identity, current_identity
from intelgraph.gateway.page_token import PageScope, page_size
from intelgraph.gateway.v1 import ledger_pb2, ledger_pb2_grpc
from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance import log_rows
from intelgraph.provenance.entries import Entry, EntryFilter, EntryReader, EntryState
from intelgraph.provenance.erasure import erase
from intelgraph.provenance.kinds import KIND_NAMES

if TYPE_CHECKING:
    import grpc

    from intelgraph.approvals.approvals import Approvals
    from intelgraph.provenance.ledger import Ledger
    from intelgraph.provenance.proofs import Prover
    from intelgraph.provenance.witnesses import Witnesses
    from intelgraph.storage.database import Database
    from intelgraph.tenants.registry import TenantRegistry

    Context = grpc.aio.ServicerContext[Any, Any]

TAIL_PAGE: Final = 500
TAIL_SECONDS: Final = 0.5
"""How often a tail that is at the end looks for more."""

_STATES: Final = {
    EntryState.WHOLE: ledger_pb2.LEDGER_ENTRY_STATE_WHOLE,
    EntryState.ERASED: ledger_pb2.LEDGER_ENTRY_STATE_ERASED,
    EntryState.RECOVERED: ledger_pb2.LEDGER_ENTRY_STATE_RECOVERED,
}


@dataclass(frozen=True, slots=True)
class LedgerParts:
    """What the service serves with."""

    database: "Database"
    ledger: "Ledger"
    reader: EntryReader
    prover: "Prover"
    witnesses: "Witnesses"
    approvals: "Approvals"
    tenants: "TenantRegistry"


class LedgerService(ledger_pb2_grpc.LedgerServiceServicer):
    """The caller's tenant's entries; for the platform tenant, those of all."""

    def __init__(self, parts: LedgerParts) -> None:
        self._parts = parts

    async def ListEntries(  # noqa: N802 (gRPC's name)
        self, request: ledger_pb2.ListEntriesRequest, context: "Context"
    ) -> ledger_pb2.ListEntriesResponse:
        identity = current_identity.get()
        wanted = await self._filter(identity, request)
        scope = PageScope(identity.tenant.tenant_id, _question(request))
        size = page_size(request.page_size, default=100, most=1000)
        position = scope.position(request.page_token, int)
        before = int(position[0]) if position else None
        entries, following = await self._parts.reader.page(_reader(identity), wanted, before, size)
        return ledger_pb2.ListEntriesResponse(
            entries=[_message(entry) for entry in entries],
            next_page_token="" if following is None else scope.token((following,)),
        )

    async def GetEntry(  # noqa: N802 (gRPC's name)
        self, request: ledger_pb2.GetEntryRequest, context: "Context"
    ) -> ledger_pb2.GetEntryResponse:
        entry = await self._parts.reader.get(_reader(current_identity.get()), request.index)
        return ledger_pb2.GetEntryResponse(entry=_message(entry))

    async def TailEntries(  # noqa: N802 (gRPC's name)
        self, request: ledger_pb2.TailEntriesRequest, context: "Context"
    ) -> AsyncIterator[ledger_pb2.TailEntriesResponse]:
        reader, kinds = _reader(current_identity.get()), _kinds(request.kinds)
        first = await self._parts.reader.size() if request.only_new else request.from_index
        while True:
            entries, seen = await self._parts.reader.after(reader, first, kinds, TAIL_PAGE)
            if entries or seen - first >= TAIL_PAGE:
                yield ledger_pb2.TailEntriesResponse(
                    entries=[_message(entry) for entry in entries], next_index=seen
                )
            if len(entries) < TAIL_PAGE:
                await asyncio.sleep(TAIL_SECONDS)
            first = seen

    async def GetCheckpoint(  # noqa: N802 (gRPC's name)
        self, request: ledger_pb2.GetCheckpointRequest, context: "Context"
    ) -> ledger_pb2.GetCheckpointResponse:
        checkpoint = await self._parts.prover.checkpoint()
        async with self._parts.database.read(PLATFORM.tenant_id) as connection:
            head = await log_rows.head(connection)
            waiting = await log_rows.waiting(connection)
        return ledger_pb2.GetCheckpointResponse(
            checkpoint=checkpoint.note,
            verifier_keys=await self._parts.prover.verifier_keys(),
            fork_index=head.fork_index,
            waiting=waiting,
        )

    async def GetInclusionProof(  # noqa: N802 (gRPC's name)
        self, request: ledger_pb2.GetInclusionProofRequest, context: "Context"
    ) -> ledger_pb2.GetInclusionProofResponse:
        proof = await self._parts.prover.inclusion(request.index, request.size or None)
        return ledger_pb2.GetInclusionProofResponse(
            hashes=proof.hashes, size=proof.size, leaf_hash=proof.leaf_hash, proof_file=proof.file
        )

    async def GetConsistencyProof(  # noqa: N802 (gRPC's name)
        self, request: ledger_pb2.GetConsistencyProofRequest, context: "Context"
    ) -> ledger_pb2.GetConsistencyProofResponse:
        proof = await self._parts.prover.consistency(request.from_size, request.to_size or None)
        return ledger_pb2.GetConsistencyProofResponse(
            hashes=proof.hashes, to_size=proof.size, proof_file=proof.file
        )

    async def AddCosignature(  # noqa: N802 (gRPC's name)
        self, request: ledger_pb2.AddCosignatureRequest, context: "Context"
    ) -> ledger_pb2.AddCosignatureResponse:
        checkpoint = await self._parts.witnesses.take(request.size, request.line)
        return ledger_pb2.AddCosignatureResponse(checkpoint=checkpoint)

    async def EraseEntry(  # noqa: N802 (gRPC's name)
        self, request: ledger_pb2.EraseEntryRequest, context: "Context"
    ) -> ledger_pb2.EraseEntryResponse:
        identity = current_identity.get()
        await erase(
            self._parts.database,
            self._parts.ledger,
            self._parts.reader,
            self._parts.approvals,
            index=request.index,
            reason=request.reason,
            approval_id=approval_id_if_given(request.approval_id),
            by=identity.actor,
        )
        entry = await self._parts.reader.get(_reader(identity), request.index)
        return ledger_pb2.EraseEntryResponse(entry=_message(entry))

    async def _filter(self, identity: Identity, request: ledger_pb2.ListEntriesRequest) -> EntryFilter:
        return EntryFilter(
            kinds=tuple(_kinds(request.kinds)),
            subject=request.subject,
            about=await self._about(identity, request.about_tenant),
            from_us=request.from_us or None,
            to_us=request.to_us or None,
        )

    async def _about(self, identity: Identity, name: str) -> UUID | None:
        """The tenant whose entries are listed; None for those of all."""
        if not identity.platform:
            if name and name != identity.tenant.name:
                raise PermissionDenied(
                    "TENANT_MISMATCH",
                    "the request names another tenant than the caller's identity",
                    fix="leave about_tenant out; only the platform tenant sees the entries of others",
                )
            return identity.tenant.tenant_id
        if not name:
            return None
        try:
            return (await self._parts.tenants.get(name)).tenant_id
        except PermissionDenied:
            raise NotFound(
                "TENANT_NOT_FOUND", f"there is no tenant {name}", fix="`intelgraph tenants list` names them"
            ) from None


def _reader(identity: Identity) -> UUID:
    return PLATFORM.tenant_id if identity.platform else identity.tenant.tenant_id


def _question(request: ledger_pb2.ListEntriesRequest) -> tuple[str, ...]:
    bounds = (str(request.from_us), str(request.to_us))
    return ("ListEntries", request.subject, request.about_tenant, *bounds, *request.kinds)


def _kinds(names: Sequence[str]) -> Sequence[int]:
    unknown = [name for name in names if name not in KIND_NAMES]
    if unknown:
        raise InvalidArgument(
            "LEDGER_KIND_UNKNOWN",
            f"there is no kind of entry that is called {unknown[0]}",
            fix=f"the kinds are {', '.join(sorted(KIND_NAMES))}",
        )
    return [KIND_NAMES[name] for name in names]


def _message(entry: Entry) -> ledger_pb2.LedgerEntry:
    said = entry.said
    actor, tenant = said.get("actor", {}), said.get("tenant") or {}
    return ledger_pb2.LedgerEntry(
        index=entry.index,
        state=_STATES[entry.state],
        entry_id=str(entry.entry_id) if entry.entry_id is not None else "",
        kind=entry.kind,
        subject=said.get("subject", ""),
        actor=actor.get("subject", ""),
        actor_method=actor.get("method", ""),
        tenant=tenant.get("name", ""),
        at_us=said.get("at", 0),
        sequenced_us=entry.sequenced_us,
        header=entry.header,
        payload=entry.payload,
        header_salt=entry.header_salt,
        payload_salt=entry.payload_salt,
        leaf=entry.leaf,
        erased_by_index=entry.erased_by_index,
    )
