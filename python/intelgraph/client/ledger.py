"""The ledger: who did what, when, and the proofs of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import grpc

from intelgraph.client.calls import authorization
from intelgraph.client.failures import from_rpc
from intelgraph.client.times import from_us
from intelgraph.gateway.v1 import ledger_pb2, ledger_pb2_grpc

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from intelgraph.client.calls import Caller


class LedgerEntryState(IntEnum):
    """What is left of an entry."""

    WHOLE = ledger_pb2.LEDGER_ENTRY_STATE_WHOLE
    ERASED = ledger_pb2.LEDGER_ENTRY_STATE_ERASED
    """Its commitments; who erased the rest, and why, the entry `erased_by_index` says."""
    RECOVERED = ledger_pb2.LEDGER_ENTRY_STATE_RECOVERED
    """Its commitments, from the log's tiles, after a restore."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """An entry. What was erased is empty."""

    index: int
    state: LedgerEntryState
    entry_id: str
    kind: str
    subject: str
    actor: str
    actor_method: str
    tenant: str
    """Empty for the platform's own acts."""
    at_us: int
    """When it was done, in microseconds since the Unix epoch."""
    sequenced_us: int
    header: bytes
    payload: bytes
    """JSON in the form of RFC 8785, as the header."""
    header_salt: bytes
    payload_salt: bytes
    leaf: bytes
    """What the public log has of it."""
    erased_by_index: int | None

    @property
    def at(self) -> datetime:
        """When it was done; when it was sequenced, where that is not known any more."""
        return from_us(self.at_us or self.sequenced_us)


@dataclass(frozen=True, slots=True)
class LedgerCheckpoint:
    """What the log was, signed."""

    note: bytes
    """C2SP signed-note."""
    verifier_keys: tuple[str, ...]
    fork_index: int | None
    """Set while the log in the database is not the one that was signed."""
    waiting: int
    """Entries that are committed and have no index yet."""


@dataclass(frozen=True, slots=True)
class LedgerProof:
    """A proof. `file` is what `intelgraph-verify` takes; empty where no checkpoint is of that size."""

    hashes: tuple[bytes, ...]
    size: int
    leaf_hash: bytes
    file: bytes


class Ledger:
    """Reads entries: the tenant's own, or for the platform tenant those of all; and proofs."""

    def __init__(self, channel: grpc.aio.Channel, caller: Caller) -> None:
        self._stub = ledger_pb2_grpc.LedgerServiceStub(channel)
        self._caller = caller

    async def list(
        self,
        *,
        kinds: Sequence[str] = (),
        subject: str = "",
        about_tenant: str = "",
        from_us: int | None = None,
        to_us: int | None = None,
        page_size: int = 100,
        timeout: float | None = None,
    ) -> AsyncIterator[LedgerEntry]:
        """Entries, newest first. What is not given filters nothing; times are in microseconds since the Unix epoch and
        bound when an entry was sequenced, from inclusive, to exclusive.
        """
        request = ledger_pb2.ListEntriesRequest(
            kinds=kinds,
            subject=subject,
            about_tenant=about_tenant,
            from_us=from_us or 0,
            to_us=to_us or 0,
            page_size=page_size,
        )
        while True:
            page = await self._caller.call(self._stub.ListEntries, request, timeout)
            for entry in page.entries:
                yield ledger_entry(entry)
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    async def get(self, index: int, *, timeout: float | None = None) -> LedgerEntry:
        """One entry. Raises NotFound."""
        request = ledger_pb2.GetEntryRequest(index=index)
        return ledger_entry((await self._caller.call(self._stub.GetEntry, request, timeout)).entry)

    async def tail(
        self, *, from_index: int | None = None, kinds: Sequence[str] = ()
    ) -> AsyncIterator[LedgerEntry]:
        """Entries in order of their index from one on, by default the next, and then as they come. Ends with an error
        when the connection does: go on behind the last index.
        """
        request = ledger_pb2.TailEntriesRequest(
            from_index=from_index or 0, kinds=kinds, only_new=from_index is None
        )
        token = await self._caller.tokens.get()
        try:
            async for response in self._stub.TailEntries(request, metadata=authorization(token)):
                for entry in response.entries:
                    yield ledger_entry(entry)
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error) from error

    async def checkpoint(self, *, timeout: float | None = None) -> LedgerCheckpoint:
        """The last signed checkpoint. Raises Unavailable before the first."""
        request = ledger_pb2.GetCheckpointRequest()
        found = await self._caller.call(self._stub.GetCheckpoint, request, timeout)
        fork_index = found.fork_index if found.HasField("fork_index") else None
        return LedgerCheckpoint(found.checkpoint, tuple(found.verifier_keys), fork_index, found.waiting)

    async def prove_inclusion(
        self, index: int, size: int | None = None, *, timeout: float | None = None
    ) -> LedgerProof:
        """The proof that an entry is in the log of a size, by default the checkpoint's. Raises OutOfRange."""
        request = ledger_pb2.GetInclusionProofRequest(index=index, size=size or 0)
        proof = await self._caller.call(self._stub.GetInclusionProof, request, timeout)
        return LedgerProof(tuple(proof.hashes), proof.size, proof.leaf_hash, proof.proof_file)

    async def prove_consistency(
        self, from_size: int, to_size: int | None = None, *, timeout: float | None = None
    ) -> LedgerProof:
        """The proof that the log of a size, by default the checkpoint's, begins with that of a smaller one."""
        request = ledger_pb2.GetConsistencyProofRequest(from_size=from_size, to_size=to_size or 0)
        proof = await self._caller.call(self._stub.GetConsistencyProof, request, timeout)
        return LedgerProof(tuple(proof.hashes), proof.to_size, b"", proof.proof_file)

    async def cosign(self, size: int, line: str, *, timeout: float | None = None) -> bytes:
        """Hands a witness's signature of a checkpoint in; gives the checkpoint with all signatures. Raises
        InvalidArgument.
        """
        request = ledger_pb2.AddCosignatureRequest(size=size, line=line)
        return (await self._caller.call(self._stub.AddCosignature, request, timeout)).checkpoint

    async def erase(
        self, index: int, reason: str, *, approval: UUID | None = None, timeout: float | None = None
    ) -> LedgerEntry:
        """Erases header and payload of an entry; the proofs of it go on to hold. Raises FailedPrecondition
        APPROVAL_MISSING, which says the approval that it takes, where none is named.
        """
        approval_id = str(approval) if approval is not None else ""
        request = ledger_pb2.EraseEntryRequest(index=index, reason=reason, approval_id=approval_id)
        return ledger_entry((await self._caller.call(self._stub.EraseEntry, request, timeout)).entry)


def ledger_entry(entry: ledger_pb2.LedgerEntry) -> LedgerEntry:
    """An entry as it came."""
    return LedgerEntry(
        index=entry.index,
        state=LedgerEntryState(entry.state),
        entry_id=entry.entry_id,
        kind=entry.kind,
        subject=entry.subject,
        actor=entry.actor,
        actor_method=entry.actor_method,
        tenant=entry.tenant,
        at_us=entry.at_us,
        sequenced_us=entry.sequenced_us,
        header=entry.header,
        payload=entry.payload,
        header_salt=entry.header_salt,
        payload_salt=entry.payload_salt,
        leaf=entry.leaf,
        erased_by_index=entry.erased_by_index if entry.HasField("erased_by_index") else None,
    )
