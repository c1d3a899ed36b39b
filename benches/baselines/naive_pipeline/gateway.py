"""The naive pipeline's server: one batch after the other through every step, per stream."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

import asyncpg
import grpc.aio
import jsonschema_rs
import orjson
from asyncpg.pool import Pool

from benches.baselines.naive_pipeline.data_keys import DataKeys
from benches.baselines.naive_pipeline.field_diff import FieldChange, field_diff
from benches.baselines.serving import CREDIT_BYTES, Context, tenant_of
from benches.records import Document, schema
from intelgraph.gateway.v1 import ingest_pb2

TABLE: Final = "naive_change_log"
COLUMNS: Final = ("tenant_id", "entity_id", "op", "recorded_at", "sealed")
DDL: Final = f"""
create table {TABLE} (
    id bigserial primary key,
    tenant_id uuid not null,
    entity_id uuid not null,
    op text not null,
    recorded_at timestamptz not null,
    sealed bytea not null
);
create index on {TABLE} (tenant_id, entity_id, recorded_at desc);
"""
CONNECTIONS: Final = 4


class Change(NamedTuple):
    """What a record changes: the whole document for an insert, else the changed places."""

    entity_id: str
    op: str
    content: Document | list[FieldChange]


def tenant_id_of(tenant: str) -> uuid.UUID:
    """The identifier under which a tenant's rows are stored."""
    return uuid.uuid5(uuid.NAMESPACE_URL, tenant)


def aad_of(tenant: str, entity_id: str) -> bytes:
    """What binds a sealed value to its row."""
    return f"{tenant}|{entity_id}".encode()


class NaiveGateway:
    """Serves `IngestService.Stream` over one pool; the heads of all entities live in a dictionary."""

    def __init__(self, pool: Pool[asyncpg.Record], keys: DataKeys) -> None:
        self._pool = pool
        self._keys = keys
        self._validator = jsonschema_rs.Draft202012Validator(schema(), validate_formats=True)
        self._heads: dict[tuple[str, str], dict[str, Any]] = {}
        self._positions: dict[tuple[str, str], int] = {}

    async def stream(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        """Answers `open` with the last committed sequence and every batch, once committed, with its
        counts."""
        tenant = tenant_of(context)
        stream = (tenant, "")
        async for raw in requests:
            request = ingest_pb2.StreamRequest.FromString(raw)
            if request.WhichOneof("message") == "open":
                stream = (tenant, request.open.stream_id)
                yield self._opened(stream)
                continue
            try:
                ack = await self._ingest(tenant, request.batch)
            except orjson.JSONDecodeError as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            self._positions[stream] = ack.sequence
            yield ingest_pb2.StreamResponse(ack=ack).SerializeToString()

    def _opened(self, stream: tuple[str, str]) -> bytes:
        opened = ingest_pb2.StreamOpened(
            last_committed_sequence=self._positions.get(stream, 0), credit_bytes=CREDIT_BYTES
        )
        return ingest_pb2.StreamResponse(opened=opened).SerializeToString()

    async def _ingest(self, tenant: str, batch: ingest_pb2.Batch) -> ingest_pb2.BatchAck:
        documents = [orjson.loads(record.upsert) for record in batch.records]
        valid = [document for document in documents if self._validator.is_valid(document)]
        changes = self._compare(tenant, valid)
        await self._store(tenant, changes)
        return ingest_pb2.BatchAck(
            sequence=batch.sequence,
            accepted=len(changes),
            unchanged=len(valid) - len(changes),
            quarantined=len(documents) - len(valid),
            credit_bytes=CREDIT_BYTES,
        )

    def _compare(self, tenant: str, documents: Sequence[dict[str, Any]]) -> list[Change]:
        """Compares with the heads, which move at once: this pipeline trusts that the commit succeeds."""
        changes = []
        heads = self._heads
        for document in documents:
            entity_id = document["shipment_id"]
            key = (tenant, entity_id)
            head = heads.get(key)
            heads[key] = document
            if head is None:
                changes.append(Change(entity_id, "insert", document))
            elif places := field_diff(head, document):
                changes.append(Change(entity_id, "update", places))
        return changes

    async def _store(self, tenant: str, changes: Sequence[Change]) -> None:
        key, tenant_id, now = self._keys.of(tenant), tenant_id_of(tenant), datetime.datetime.now(datetime.UTC)
        rows = [
            (tenant_id, entity_id, op, now, key.seal(orjson.dumps(content), aad_of(tenant, entity_id)))
            for entity_id, op, content in changes
        ]
        async with self._pool.acquire() as connection:
            await connection.copy_records_to_table(TABLE, records=rows, columns=COLUMNS)
