"""Rows that a server wrote, taken out of its table to be written again by the ceiling."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from benches.baselines.ceiling.copy_buffer import CopyBuffer, column_values

_DESCRIPTION = "replay.json"


@dataclass(frozen=True, slots=True)
class LogTable:
    """A change log, as far as the ceiling must know it.

    Attributes:
        columns: all columns, in the order in which they are copied.
        tenant_column: the column that names the tenant.
        order_column: a bigint that numbers a tenant's rows; its order is the order of writing.
        advancing: bigint and timestamp columns that must move on for a row to be written again without
            colliding with itself; `order_column` among them unless the database fills it in.
    """

    name: str
    columns: tuple[str, ...]
    tenant_column: str
    order_column: str
    advancing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """What the ceiling writes: per tenant name, the buffers of one round, and the step of each advancing
    column (by position) from one round to the next."""

    table: str
    columns: tuple[str, ...]
    steps: Mapping[int, int]
    buffers: Mapping[str, Sequence[bytes]]

    def buffers_of(self, tenant: str) -> list[CopyBuffer]:
        """Fresh buffers of a tenant, ready to send."""
        return [CopyBuffer(content, self.steps) for content in self.buffers[tenant]]


async def take_rows(
    connection: asyncpg.Connection[asyncpg.Record],
    table: LogTable,
    tenants: Mapping[str, object],
    *,
    batches: int,
    rows_per_batch: int,
) -> Replay:
    """Reads the newest `batches` batches of rows of each tenant; `tenants` maps a tenant's name to
    its value in the tenant column."""
    buffers = {
        name: [
            await _copy_out(
                connection, table, value, offset=(batches - 1 - batch) * rows_per_batch, limit=rows_per_batch
            )
            for batch in range(batches)
        ]
        for name, value in tenants.items()
    }
    contents = [content for of_tenant in buffers.values() for content in of_tenant]
    columns = [table.columns.index(column) for column in table.advancing]
    return Replay(table.name, table.columns, {column: _step(contents, column) for column in columns}, buffers)


async def _copy_out(
    connection: asyncpg.Connection[asyncpg.Record],
    table: LogTable,
    tenant: object,
    *,
    offset: int,
    limit: int,
) -> bytes:
    """The `limit` rows that come after the newest `offset`, oldest first."""
    order = table.order_column
    query = (
        f"select {', '.join(table.columns)} from ("  # noqa: S608 - the names are constants of the benchmark
        f"select * from {table.name} where {table.tenant_column} = $1"
        f" order by {order} desc offset {offset} limit {limit}) newest order by {order}"
    )
    content = io.BytesIO()
    await connection.copy_from_query(query, tenant, output=content, format="binary")
    return content.getvalue()


def _step(contents: Sequence[bytes], column: int) -> int:
    """The smallest step that moves every value of the column beyond every former one."""
    values = [column_values(content, column) for content in contents]
    return int(max(some.max() for some in values) - min(some.min() for some in values)) + 1


def save(replay: Replay, directory: Path) -> None:
    """Writes a replay into a directory, for the ceiling's process to load."""
    files: dict[str, list[str]] = {}
    for number, (tenant, contents) in enumerate(replay.buffers.items()):
        files[tenant] = []
        for batch, content in enumerate(contents):
            name = f"{number}-{batch:05}.copy"
            (directory / name).write_bytes(content)
            files[tenant].append(name)
    description = {
        "table": replay.table,
        "columns": replay.columns,
        "steps": {str(column): step for column, step in replay.steps.items()},
        "buffers": files,
    }
    (directory / _DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")


def load(directory: Path) -> Replay:
    """Reverses `save`."""
    description = json.loads((directory / _DESCRIPTION).read_text(encoding="utf-8"))
    return Replay(
        table=description["table"],
        columns=tuple(description["columns"]),
        steps={int(column): step for column, step in description["steps"].items()},
        buffers={
            tenant: [(directory / name).read_bytes() for name in names]
            for tenant, names in description["buffers"].items()
        },
    )
