"""Naive pipeline and ceiling, served as in the benchmark, on a real PostgreSQL."""

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import orjson
import pytest

from benches.baselines.ceiling.copy_buffer import CopyBuffer, CopyBufferError, column_values
from benches.baselines.ceiling.replay import LogTable, load, save, take_rows
from benches.baselines.naive_pipeline import gateway as naive
from benches.baselines.naive_pipeline.data_keys import DataKeys
from benches.baselines.serving import SERVICE, TENANT_METADATA_KEY
from benches.client import Feed, UnexpectedReplyError, drive, for_batches
from benches.postgres import Postgres, embedded_postgres, open_pool
from benches.records import DATASET, Shipment
from benches.server_process import serve_module
from benches.wire import CHANNEL_OPTIONS, batch_body

RECORDS = 8


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server with the naive pipeline's table."""
    with embedded_postgres({"max_connections": "20"}) as server:
        yield server


@pytest.fixture
async def empty_log(postgres: Postgres) -> None:
    """The naive table, new."""
    await postgres.execute(f"drop table if exists {naive.TABLE}; {naive.DDL}")


def feed(tenant: str, versions: int) -> Feed:
    """One batch per version of the same entities."""
    shipments = [[Shipment(0, index, version) for index in range(RECORDS)] for version in range(versions)]
    bodies = [batch_body([shipment.encode() for shipment in batch]) for batch in shipments]
    return Feed(DATASET, "stream", ((TENANT_METADATA_KEY, tenant),), bodies, RECORDS)


@asynccontextmanager
async def naive_gateway(postgres: Postgres, keys: DataKeys) -> AsyncIterator[grpc.aio.Channel]:
    """The naive pipeline in this process, so that a test holds its keys."""
    pool = await open_pool(postgres.dsn(), 2)
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(
        naive.NaiveGateway(pool, keys).stream
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Stream": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=CHANNEL_OPTIONS) as channel:
        yield channel
    await server.stop(None)
    await pool.close()


@pytest.mark.usefixtures("empty_log")
async def test_the_naive_pipeline_stores_every_change_sealed(postgres: Postgres) -> None:
    keys = DataKeys()
    async with naive_gateway(postgres, keys) as channel:
        driven = await drive([channel], [feed("a", 3), feed("b", 3)], in_flight=2, more=for_batches(3))
    assert driven.records == 2 * 3 * RECORDS
    assert len(driven.ack_ms) == 6
    connection = await postgres.connect()
    rows = await connection.fetch(
        "select * from naive_change_log where tenant_id = $1 order by id", naive.tenant_id_of("a")
    )
    await connection.close()
    assert [row["op"] for row in rows] == ["insert"] * RECORDS + ["update"] * (2 * RECORDS)
    first, update = rows[0], rows[RECORDS]
    aad = naive.aad_of("a", str(first["entity_id"]))
    assert orjson.loads(keys.of("a").open(first["sealed"], aad)) == Shipment(0, 0).document()
    changed = orjson.loads(keys.of("a").open(update["sealed"], aad))
    assert [change["path"] for change in changed] == ["/status", "/revision", "/parcels/1/count"]


@pytest.mark.usefixtures("empty_log")
async def test_a_stream_resumes_and_repeats_are_not_changes(postgres: Postgres) -> None:
    async with naive_gateway(postgres, DataKeys()) as channel:
        await drive([channel], [feed("a", 2)], in_flight=1, more=for_batches(1))
        resumed = await drive([channel], [feed("a", 2)], in_flight=1, more=for_batches(1))
        assert resumed.records == RECORDS
        same = feed("a", 2)
        unchanged = Feed(same.dataset, "other", same.metadata, same.bodies[1:], RECORDS)
        with pytest.raises(UnexpectedReplyError, match="unchanged: 8"):
            await drive([channel], [unchanged], in_flight=1, more=for_batches(1))


@pytest.mark.usefixtures("empty_log")
async def test_the_ceiling_writes_the_very_rows_again(postgres: Postgres, tmp_path: Path) -> None:
    async with naive_gateway(postgres, DataKeys()) as channel:
        await drive([channel], [feed("a", 3), feed("b", 3)], in_flight=1, more=for_batches(3))
    connection = await postgres.connect()
    log = LogTable(naive.TABLE, ("id", *naive.COLUMNS), "tenant_id", "id", advancing=("id", "recorded_at"))
    tenants = {tenant: naive.tenant_id_of(tenant) for tenant in ("a", "b")}
    replay = await take_rows(connection, log, tenants, batches=2, rows_per_batch=RECORDS)
    save(replay, tmp_path)
    assert load(tmp_path) == replay

    await connection.execute(f"alter table {naive.TABLE} rename to written; {naive.DDL}")
    arguments = ("--dsn", postgres.dsn(), "--replay", str(tmp_path), "--connections", "2")
    with serve_module("benches.baselines.ceiling", arguments) as server:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=CHANNEL_OPTIONS) as channel:
            await drive([channel], [feed("a", 3), feed("b", 3)], in_flight=2, more=for_batches(4))
    counts = await connection.fetchrow(
        "select count(*) as rows, count(distinct id) as ids, count(distinct sealed) as values,"
        " count(*) filter (where w.id is not null) as as_written"
        " from naive_change_log n"
        " left join written w using (tenant_id, id, entity_id, op, recorded_at, sealed)"
    )
    await connection.execute("drop table written")
    await connection.close()
    assert counts is not None
    assert dict(counts) == {
        "rows": 2 * 4 * RECORDS,
        "ids": 2 * 4 * RECORDS,
        "values": 2 * 2 * RECORDS,
        "as_written": 2 * 2 * RECORDS,
    }


async def test_an_advancing_column_must_be_eight_bytes(postgres: Postgres) -> None:
    connection = await postgres.connect()
    await connection.execute("create table if not exists narrow (tenant uuid, seq bigint, small int)")
    await connection.execute("insert into narrow values ($1, 1, 1)", uuid.UUID(int=1))
    narrow = LogTable("narrow", ("tenant", "seq", "small"), "tenant", "seq", advancing=("seq",))
    replay = await take_rows(connection, narrow, {"t": uuid.UUID(int=1)}, batches=1, rows_per_batch=1)
    await connection.close()
    (content,) = replay.buffers["t"]
    assert column_values(content, 1).tolist() == [1]
    with pytest.raises(CopyBufferError, match="4 bytes instead of 8"):
        CopyBuffer(content, {2: 1})
    with pytest.raises(CopyBufferError, match="signature"):
        CopyBuffer(b"something else", {1: 1})
