"""The servers of the ingest benchmark, each with the load as it is presented to it."""

import asyncio
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benches.baselines.ceiling.replay import LogTable, Replay, save, take_rows
from benches.baselines.naive_pipeline import gateway as naive
from benches.baselines.serving import TENANT_METADATA_KEY
from benches.channels import close, open_channels
from benches.client import Feed, Metadata, drive, for_batches
from benches.gateway_process import Gateway, serve_gateway
from benches.ingest_load import BATCHES_PER_VERSION, IN_FLIGHT, RECORDS_PER_BATCH, TENANTS, Load, Served
from benches.postgres import embedded_postgres
from benches.product_storage import WRITER, product_postgres
from benches.server_process import serve_module

_REPLAYED_BATCHES: Final = 64
"""Batches of each tenant that the ceiling has prepared: 16 versions of each entity, so that the rows hold as many
snapshots as the product writes."""
_LOG: Final = LogTable(
    name="entity_change_log",
    columns=(
        "tenant_id",
        "seq",
        "recorded",
        "valid_at",
        "entity_id",
        "dataset_id",
        "contract_id",
        "stream_no",
        "batch_sequence",
        "version",
        "op",
        "since_base",
        "leaf",
        "sealed",
        "snapshot",
    ),
    tenant_column="tenant_id",
    order_column="seq",
    advancing=("seq", "recorded", "valid_at"),
)


class Servers:
    """Starts servers, which stop with the stack."""

    def __init__(self, stack: ExitStack, runner: asyncio.Runner, load: Load) -> None:
        self._stack = stack
        self._runner = runner
        self._load = load

    def naive(self) -> Served:
        """The naive pipeline on a PostgreSQL of its own."""
        postgres = self._stack.enter_context(embedded_postgres())
        self._runner.run(postgres.execute(naive.DDL))
        server = self._stack.enter_context(
            serve_module("benches.baselines.naive_pipeline", ("--dsn", postgres.dsn()))
        )
        feeds = self._load.feeds(_in_clear)
        return Served("naive", f"127.0.0.1:{server.port}", feeds, server.pid, postgres)

    def gateway(self) -> tuple[Gateway, Served]:
        """The product as `intelgraph serve` starts it, its tenants admitted."""
        gateway = self._stack.enter_context(serve_gateway())
        self._runner.run(gateway.admit(TENANTS))
        feeds = self._load.feeds(gateway.metadata_of)
        return gateway, Served("gateway", gateway.target, feeds, gateway.pid, gateway.postgres)

    def one_tenant(self, workers: int) -> Served:
        """The product with some workers and one tenant, which sends the load of two tenants on two streams."""
        gateway = self._stack.enter_context(serve_gateway(workers=workers))
        tenant = TENANTS[0]
        self._runner.run(gateway.admit([tenant]))
        metadata = gateway.metadata_of(tenant)
        feeds = tuple(
            Feed(feed.dataset, feed.stream_id, metadata, feed.bodies, feed.records_per_batch)
            for feed in self._load.feeds(_in_clear)[:2]
        )
        name = f"one_tenant_{workers}_worker{'s' if workers > 1 else ''}"
        return Served(name, gateway.target, feeds, gateway.pid, gateway.postgres, workers)

    def ceiling(self, gateway: Gateway, sender: Served) -> Served:
        """The ceiling on the product's tables, with rows that the product writes for it now."""
        replay = self._runner.run(_rows_written(gateway, sender))
        postgres = self._stack.enter_context(product_postgres(self._runner))
        directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="intelgraph-bench-")))
        save(replay, directory)
        arguments = ("--dsn", postgres.dsn(WRITER), "--replay", str(directory))
        server = self._stack.enter_context(
            serve_module("benches.baselines.ceiling", (*arguments, "--connections", str(len(TENANTS))))
        )
        feeds = self._load.feeds(_in_clear)
        return Served("ceiling", f"127.0.0.1:{server.port}", feeds, server.pid, postgres)


def _in_clear(tenant: str) -> Metadata:
    """How a baseline, which authenticates nobody, is told the tenant."""
    return ((TENANT_METADATA_KEY, tenant),)


async def _rows_written(gateway: Gateway, sender: Served) -> Replay:
    """Sends what is to be replayed, after the versions that insert the entities, and takes it out of the log."""
    channels = await open_channels(sender.target, sender.server_pid, sender.workers)
    await drive(channels, sender.feeds, IN_FLIGHT, for_batches(BATCHES_PER_VERSION + _REPLAYED_BATCHES))
    await close(channels)
    connection = await gateway.postgres.connect()
    try:
        rows = await connection.fetch("select name, tenant_id from tenant where name = any($1)", TENANTS)
        tenants = {row["name"]: row["tenant_id"] for row in rows}
        return await take_rows(
            connection, _LOG, tenants, batches=_REPLAYED_BATCHES, rows_per_batch=RECORDS_PER_BATCH
        )
    finally:
        await connection.close()
