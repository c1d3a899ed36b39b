"""What waits in the ledger's outbox, entry by entry: PostgreSQL's binary COPY fields, read without the core."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from intelgraph.storage.connection import Connection


@dataclass(frozen=True)
class Waiting:
    """An entry in the outbox."""

    entry_id: UUID
    tenant_id: UUID | None
    kind: int
    commitments: bytes
    header: bytes
    payload: bytes


async def waiting(connection: Connection) -> Sequence[Waiting]:
    """All of them, in order."""
    acts = await connection.fetch("SELECT entries, packed FROM ledger_outbox ORDER BY id")
    entries = []
    for act in acts:
        unpacked = list(_unpacked(act["packed"]))
        assert len(unpacked) == act["entries"]
        entries += unpacked
    return entries


def pack(row: Mapping[str, object]) -> bytes:
    """The row of `ledger_entry` as the outbox held it."""
    values = (
        _bytes(row["entry_id"]),
        None if row["tenant_id"] is None else _bytes(row["tenant_id"]),
        struct.pack(">h", row["kind"]),
        struct.pack(">q", row["subject_tag"]),
        row["commitments"],
        row["header"],
        row["payload"],
    )
    packed = struct.pack(">h", len(values))
    for value in values:
        assert value is None or isinstance(value, bytes)
        packed += struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value
    return packed


def _bytes(uuid: object) -> bytes:
    assert isinstance(uuid, UUID)
    return uuid.bytes


def _unpacked(packed: bytes) -> Iterator[Waiting]:
    at = 0
    while at < len(packed):
        (count,) = struct.unpack_from(">h", packed, at)
        at += 2
        fields: list[bytes] = []
        for _ in range(count):
            (length,) = struct.unpack_from(">i", packed, at)
            at += 4
            fields.append(packed[at : at + max(length, 0)])
            at += max(length, 0)
        entry_id, tenant_id, kind, _, commitments, header, payload = fields
        tenant = UUID(bytes=tenant_id) if tenant_id else None
        yield Waiting(
            UUID(bytes=entry_id), tenant, int.from_bytes(kind, signed=True), commitments, header, payload
        )
