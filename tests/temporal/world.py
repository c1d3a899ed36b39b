"""A gateway without its wire: records go in through the intake, and are read back as the services do."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from intelgraph._core import Engine, Keystore
from intelgraph.approvals.approvals import Approvals
from intelgraph.contracts.publishing import ContractPublisher
from intelgraph.contracts.registry import ContractRegistry
from intelgraph.gateway.v1 import ingest_pb2
from intelgraph.ingest.intake import Intake
from intelgraph.ingest.settings import IngestSettings
from intelgraph.keys.providers import open_provider
from intelgraph.keys.service import KeyService, keystore_of
from intelgraph.keys.settings import KeySettings
from intelgraph.keys.unsealing import Unsealer
from intelgraph.provenance.ledger import Ledger
from intelgraph.storage.database import Database
from intelgraph.temporal.catalogues import Catalogues
from intelgraph.temporal.commit_watch import CommitWatch
from intelgraph.temporal.entities import EntityReader
from intelgraph.temporal.feed import ChangeFeed
from intelgraph.temporal.switch import TemporalSwitch
from intelgraph.temporal.verify import LogVerifier
from intelgraph.tenants.limits import TenantLimits
from intelgraph.tenants.registry import Tenant, TenantRegistry, TenantState
from tests.parts.ledger import TESTER

Document = dict[str, Any]

_numbers = itertools.count(1)

_PLATFORM = Tenant(UUID(int=1), "local", TenantState.ACTIVE, TenantLimits(), datetime(2026, 1, 1, tzinfo=UTC))
"""No test here approves an act of the platform."""


def contract(tenant: str, dataset: str = "stations", version: str = "1.0.0", **sla: object) -> bytes:
    """Records of stations: the key is `id`, the event time `at`, in microseconds since the Unix epoch."""
    return json.dumps(
        {
            "datasetId": dataset,
            "version": version,
            "tenantId": tenant,
            "license": "Open-Data-OK",
            "purpose": ["test"],
            "retention": "short-30d",
            "sla": sla,
            "schema": {
                "type": "object",
                "properties": {"id": {"type": "string"}, "at": {"type": "integer"}},
                "required": ["id"],
            },
            "mapping": {
                "entity": {"type": "station", "key": ["/id"]},
                "eventTime": {"pointer": "/at", "format": "unix-us"},
                "keyedArrays": {"/crew": "name"},
            },
            "placement": {"homeRegion": "local", "classification": "public"},
        }
    ).encode()


def upsert(document: Document) -> ingest_pb2.Record:
    """A record with a whole document."""
    return ingest_pb2.Record(upsert=json.dumps(document).encode())


def delete(key: str, at_us: int | None = None) -> ingest_pb2.Record:
    """A record that ends an entity."""
    gone = ingest_pb2.DeleteEntity(key=json.dumps(key).encode())
    if at_us is not None:
        gone.valid_at_us = at_us
    return ingest_pb2.Record(delete=gone)


@dataclass
class World:
    """One gateway process, as far as data is concerned."""

    database: Database
    keystore: Keystore
    keys: KeyService
    engine: Engine
    contracts: ContractRegistry
    publisher: ContractPublisher
    approvals: Approvals
    registry: TenantRegistry
    ledger: Ledger
    unserved: dict[str, Exception] = field(default_factory=dict)
    """What the feed is told of tenants that are not to be served any more."""
    warned: set[UUID] = field(default_factory=set)
    """Tenants whose contracts only warn."""
    past_off: set[UUID] = field(default_factory=set)
    """Tenants whose past is not served."""

    def __post_init__(self) -> None:
        self.watch = CommitWatch(self.database)
        self.intake = Intake(
            self.engine,
            self.database,
            self.keys,
            self.contracts,
            IngestSettings(),
            self.registry.get,
            self.watch.committed,
            self.ledger,
            self.warned.__contains__,
        )
        switch = TemporalSwitch(self.past_off.__contains__)
        self.unsealer = Unsealer(self.keys)
        self.catalogues = Catalogues(self.contracts)
        self.entities = EntityReader(
            self.database, self.contracts, self.unsealer, self.catalogues, self.keystore, switch
        )
        self.feed = ChangeFeed(
            self.database,
            self.unsealer,
            self.catalogues,
            self.keystore,
            self.watch,
            self._served,
            switch,
        )
        self.verifier = LogVerifier(self.database, self.unsealer, self.catalogues, self.keystore)

    async def tenant(self, *datasets: str, name: str = "") -> Tenant:
        """A new tenant with a contract for each dataset, `stations` by default."""
        tenant = await self.registry.create(name or f"t{uuid4().hex}", by=TESTER)
        for dataset in datasets or ("stations",):
            await self.publisher.publish(tenant, contract(tenant.name, dataset), by=TESTER)
        return tenant

    async def ingest(
        self, tenant: Tenant, *records: ingest_pb2.Record, dataset: str = "stations"
    ) -> ingest_pb2.BatchAck:
        """Sends one batch on a stream of its own."""
        request = ingest_pb2.OpenStream(
            dataset=dataset, stream_id=f"stream {next(_numbers)}", producer="test", source_region="local"
        )
        session, _ = await self.intake.open(tenant, request, _no_refresh, float("inf"), TESTER)
        batch = ingest_pb2.StreamRequest(batch=ingest_pb2.Batch(sequence=1, records=records))

        async def frames() -> AsyncIterator[bytes]:
            yield batch.SerializeToString()

        async with asyncio.TaskGroup() as group:
            group.create_task(session.read(frames()))
            answers = [ingest_pb2.StreamResponse.FromString(reply) async for reply in session.replies()]
        self.intake.closed(tenant, session)
        (answer,) = answers
        assert answer.WhichOneof("message") == "ack", answer
        return answer.ack

    async def entity_id(self, tenant: Tenant, seq: int) -> UUID:
        """The entity that a change is of."""
        async with self.database.read(tenant.tenant_id) as connection:
            found = await connection.fetchval(
                "SELECT entity_id FROM entity_change_log WHERE tenant_id = $1 AND seq = $2",
                tenant.tenant_id,
                seq,
            )
        return UUID(str(found))

    async def _served(self, name: str) -> None:
        if name in self.unserved:
            raise self.unserved[name]


async def _no_refresh(_: str) -> float:
    raise AssertionError("no test here sends a new token")


@asynccontextmanager
async def running(
    database: Database, directory: Path, settings: KeySettings | None = None
) -> AsyncIterator[World]:
    """A gateway with the keyring in `directory`, for as long as the block runs."""
    settings = settings or KeySettings()
    keystore = keystore_of(settings)
    engine = Engine(
        keystore, cache_bytes=64 << 20, max_record_bytes=8 << 20, max_depth=64, max_batch_records=65_536
    )
    keys = KeyService(keystore, await open_provider(settings, directory, database), database, settings)
    ledger = Ledger(keystore, keys)
    registry, approvals = TenantRegistry(database, ledger), Approvals(database, ledger, _PLATFORM)
    world = World(
        database,
        keystore,
        keys,
        engine,
        ContractRegistry(database),
        ContractPublisher(database, ledger, approvals),
        approvals,
        registry,
        ledger,
    )
    try:
        yield world
    finally:
        await world.intake.drain()
        await world.intake.close()
        await keys.close()


def now_us() -> int:
    """This host's clock, in microseconds since the Unix epoch."""
    return time.time_ns() // 1000


def sequence_of(records: Sequence[object]) -> list[int]:
    """1, 2, 3, … for as many records."""
    return list(range(1, len(records) + 1))
