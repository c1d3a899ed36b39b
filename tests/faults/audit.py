"""What must be so in the log whatever happened: read by the superuser, and as a client reads it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

import asyncpg

from intelgraph.client import AsyncClient
from intelgraph.storage.connection import reachable
from tests.faults.load import DATASET, Producer
from tests.faults.report import Survived

_BATCHES = """
SELECT stream_id, batch_sequence, count(*) AS rows
FROM entity_change_log JOIN ingest_stream USING (tenant_id, stream_no)
WHERE producer = 'faults' GROUP BY 1, 2
"""
_CLOCKS = """
SELECT clock.seq, count(log.seq) AS rows, count(DISTINCT log.seq) AS seqs, coalesce(max(log.seq), 0) AS last
FROM tenant_clock AS clock LEFT JOIN entity_change_log AS log USING (tenant_id) GROUP BY clock.tenant_id, clock.seq
"""
# Each chain in the order that decides which version holds, beside the order of its version numbers.
_FORKS = """
SELECT count(*) FROM (
  SELECT version, row_number() OVER (
    PARTITION BY tenant_id, dataset_id, entity_id ORDER BY valid_at, seq
  ) AS place
  FROM entity_change_log WHERE op <= 3
) AS chain WHERE version <> place
"""
_BACKWARDS = """
SELECT count(*) FROM (
  SELECT recorded, lag(recorded) OVER (PARTITION BY tenant_id ORDER BY seq) AS before FROM entity_change_log
) AS log WHERE recorded < before
"""


async def audit_log(superuser_dsn: str, streams: list[Producer], *, faults: int, seconds: float) -> Survived:
    """Fails unless every acknowledged batch is stored whole, nothing else is, and histories are linear."""
    connection = await asyncpg.connect(reachable(superuser_dsn.replace("/postgres?", "/intelgraph?")))
    try:
        stored = {
            (row["stream_id"], row["batch_sequence"]): row["rows"] for row in await connection.fetch(_BATCHES)
        }
        clocks = await connection.fetch(_CLOCKS)
        forks = await connection.fetchval(_FORKS)
        backwards = await connection.fetchval(_BACKWARDS)
    finally:
        await connection.close()
    acked = {
        (producer.stream_id, sequence): records
        for producer in streams
        for sequence, records in producer.settled.items()
    }
    assert stored == acked
    for clock in clocks:
        assert clock["seq"] == clock["rows"] == clock["seqs"] == clock["last"]
    assert (forks, backwards) == (0, 0)
    sent = sum(len(values) for producer in streams for values in producer.sent.values())
    assert sum(acked.values()) == sent > 0
    once = sum(min(stored.get(batch, 0), records) for batch, records in acked.items())
    return Survived(
        faults=faults,
        batches_acked=len(acked),
        records_acked=sum(acked.values()),
        present_once=once,
        duplicates=sum(stored.values()) - once,
        reconnects=sum(producer.reconnects for producer in streams),
        seconds=round(seconds, 1),
    )


async def audit_documents(client: AsyncClient, streams: Iterable[Producer], draw: random.Random) -> None:
    """Rebuilds the histories of some sensors from their diffs: they hold what was sent, and in order."""
    sent: dict[str, list[tuple[str, list[int]]]] = {}
    for producer in streams:
        for sensor, values in producer.sent.items():
            sent.setdefault(sensor, []).append((producer.stream_id, values))
    for sensor in draw.sample(sorted(sent), min(8, len(sent))):
        entries = client.entities.history(DATASET, {"sensor": sensor}, page_size=500, with_documents=True)
        documents = [entry.version.json() async for entry in entries][::-1]
        by = Counter(document["by"] for document in documents)
        for stream_id, values in sent[sensor]:
            assert [each["value"] for each in documents if each["by"] == stream_id] == values
            assert by[stream_id] == len(values)
        assert sum(by.values()) == sum(len(values) for _, values in sent[sensor])
