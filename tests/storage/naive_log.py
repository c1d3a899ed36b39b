"""The change log as a list: what the queries are held against, and how its rows are written and read."""

import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from hypothesis import strategies as st

from intelgraph.storage.connection import Connection

POSTGRES_EPOCH_US = 946_684_800_000_000
COLUMNS = (
    "tenant_id", "seq", "recorded", "valid_at", "entity_id", "dataset_id", "contract_id", "stream_no",
    "version", "batch_sequence", "op", "since_base", "leaf", "sealed", "snapshot",
)  # fmt: skip
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)


@dataclass(frozen=True)
class Row:
    """A row of the log as a query gives it back."""

    seq: int
    recorded_us: int
    valid_us: int
    entity_id: UUID
    dataset_id: int
    version: int
    op: int
    since_base: int
    sealed: bytes
    snapshot: bytes | None
    contract_id: int

    @property
    def in_chain(self) -> bool:
        return self.op <= 3

    @property
    def order(self) -> tuple[int, int]:
        return self.valid_us, self.seq


class NaiveLog:
    """A log that keeps the gateway's rules, one tenant's, and answers by looking at every row."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def change(
        self, entity: UUID, dataset: int, at_us: int, step_us: int, *, delete: bool, snapshot: bool
    ) -> None:
        """Appends what the gateway would for a record with this valid time."""
        mine = [row for row in self.rows if (row.entity_id, row.dataset_id) == (entity, dataset)]
        head = next((row for row in reversed(mine) if row.in_chain), None)
        gone = head is None or head.op == 3
        seq = len(self.rows) + 1
        late = head is not None and at_us < head.valid_us
        if late:
            op, since_base = 5 if delete else 4, 0
            version = sum(row.valid_us == at_us for row in mine)
        elif delete and gone:
            return
        else:
            op = 3 if delete else 1 if gone else 2
            version = head.version + 1 if head else 1
            is_base = head is None or op == 1 or (snapshot and op == 2)
            since_base = 0 if is_base or head is None else head.since_base + 1
        recorded = (self.rows[-1].recorded_us if self.rows else 1_700_000_000_000_000) + step_us
        self.rows.append(
            Row(
                seq, recorded, at_us, entity, dataset, version, op, since_base,
                sealed=f"sealed {seq}".encode(),
                snapshot=f"snapshot {seq}".encode() if snapshot and op == 2 else None,
                contract_id=7,
            )
        )  # fmt: skip

    def entity(self, entity: UUID, dataset: int) -> list[Row]:
        return [row for row in self.rows if (row.entity_id, row.dataset_id) == (entity, dataset)]

    def chain(self, row: Row) -> list[Row]:
        """The chain from `row`'s base to `row`, by walking back in order of seq."""
        chain = [row]
        for earlier in reversed(self.entity(row.entity_id, row.dataset_id)):
            if chain[0].since_base == 0:
                break
            if earlier.in_chain and earlier.seq < chain[0].seq:
                chain.insert(0, earlier)
        return chain

    def head(self, entity: UUID, dataset: int) -> list[Row]:
        """The newest chain row and what it leans on."""
        chain = [row for row in self.entity(entity, dataset) if row.in_chain]
        return self.chain(chain[-1]) if chain else []

    def as_of(self, entity: UUID, dataset: int, valid_us: int | None, recorded_us: int | None) -> list[Row]:
        """The rule: of the rows within both times the greatest (valid_at, seq), with what it leans on."""
        within = [
            row
            for row in self.entity(entity, dataset)
            if (valid_us is None or row.valid_us <= valid_us)
            and (recorded_us is None or row.recorded_us <= recorded_us)
        ]
        if not within:
            return []
        selected = max(within, key=lambda row: row.order)
        return self.chain(selected) if selected.in_chain else [selected]


ENTITIES = tuple(UUID(int=number) for number in (1, 2, 2**127 + 5))
DATASETS = (1, 2)
_HOUR = 3_600_000_000
MOMENTS_US = (
    -62_135_596_800_000_000,  # the first of the year 1
    -1,
    *(1_700_000_000_000_000 + hour * _HOUR for hour in range(5)),
    253_402_300_799_999_999,  # the last of the year 9999
)


@st.composite
def logs(draw: st.DrawFn) -> NaiveLog:
    """Logs of a few entities in which everything happens: corrections, late rows, deletes, snapshots."""
    log = NaiveLog()
    steps = st.tuples(
        st.sampled_from(ENTITIES),
        st.sampled_from(DATASETS),
        st.sampled_from(MOMENTS_US),
        st.sampled_from((1, 5, 1_000_000)),
        st.booleans(),
        st.booleans(),
    )
    for entity, dataset, at_us, step_us, delete, snapshot in draw(st.lists(steps, max_size=60)):
        log.change(entity, dataset, at_us, step_us, delete=delete and snapshot, snapshot=snapshot)
    return log


def without_snapshots(rows: Sequence[Row]) -> list[Row]:
    """The rows as the feed sends them."""
    return [replace(row, snapshot=None) for row in rows]


async def create_tenant(connection: Connection, tenant_id: UUID) -> None:
    """A tenant as the registry makes one."""
    await connection.execute(
        "INSERT INTO tenant (tenant_id, name, state, limits) VALUES ($1, $2, 'active', '{}')",
        tenant_id,
        f"t-{tenant_id.hex}",
    )
    await connection.execute("INSERT INTO tenant_clock (tenant_id) VALUES ($1)", tenant_id)


async def write(connection: Connection, tenant_id: UUID, rows: Sequence[Row]) -> None:
    """Copies rows as the gateway does, and moves the clock."""
    if rows:
        await connection.copy_to_table(
            "entity_change_log", source=_chunks(encode(tenant_id, rows)), columns=COLUMNS, format="binary"
        )
        await connection.execute(
            "UPDATE tenant_clock SET seq = $2 WHERE tenant_id = $1", tenant_id, rows[-1].seq
        )


async def _chunks(stream: bytes) -> AsyncIterator[bytes]:
    yield stream


def encode(tenant_id: UUID, rows: Sequence[Row]) -> bytes:
    """A binary COPY stream of whole rows."""
    out = bytearray(_HEADER)
    for row in rows:
        fields: tuple[bytes | None, ...] = (
            tenant_id.bytes, _int(8, row.seq), _int(8, row.recorded_us - POSTGRES_EPOCH_US),
            _int(8, row.valid_us - POSTGRES_EPOCH_US), row.entity_id.bytes, _int(4, row.dataset_id),
            _int(4, row.contract_id), _int(4, 1), _int(4, row.version), _int(8, 1), _int(2, row.op),
            _int(2, row.since_base), bytes(32), row.sealed, row.snapshot,
        )  # fmt: skip
        out += _int(2, len(fields))
        for field in fields:
            out += _int(4, -1) if field is None else _int(4, len(field)) + field
    return bytes(out + _int(2, -1))


def _int(size: int, value: int) -> bytes:
    return value.to_bytes(size, signed=True)


def decode(stream: bytes, *, fields: int) -> list[Row]:
    """The rows of an answer."""
    if not stream:
        return []
    assert stream.startswith(_HEADER)
    rest = iter(_fields(stream[len(_HEADER) :], fields))
    rows = []
    for values in zip(*[rest] * fields, strict=True):
        seq, recorded, valid_at, _, dataset, version, op, since_base = (
            int.from_bytes(value or b"", signed=True) for value in values[:8]
        )
        rows.append(
            Row(
                seq, recorded + POSTGRES_EPOCH_US, valid_at + POSTGRES_EPOCH_US, UUID(bytes=values[3]),
                dataset, version, op, since_base, values[8] or b"", values[9],
                contract_id=int.from_bytes(values[10] or b"") if fields == 11 else 7,
            )
        )  # fmt: skip
    return rows


def _fields(stream: bytes, per_row: int) -> Iterator[bytes | None]:
    at = 0
    while at < len(stream):
        (count,) = struct.unpack_from(">h", stream, at)
        assert count == per_row
        at += 2
        for _ in range(count):
            (length,) = struct.unpack_from(">i", stream, at)
            at += 4
            yield None if length == -1 else stream[at : at + length]
            at += max(length, 0)
