"""What records say is found nowhere but in the answer to those who may read them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx

from intelgraph.client import Delete, Outcome, Record
from intelgraph.storage.connection import reachable
from tests.faults.gateway import GatewayProcess
from tests.faults.load import CONTRACT, DATASET

TAIL = "N7Q4ZPLANTEDTAIL"
VALUE = 7_261_983_405_551
FIELD = "planted-value-9d3fc1"


def files(directory: Path) -> Iterator[Path]:
    return (path for path in directory.rglob("*") if path.is_file())


async def test_nothing_of_a_record_is_in_files_logs_or_metrics(gateway: GatewayProcess) -> None:
    records: list[Record] = [
        {"sensor": TAIL, "value": VALUE, "by": FIELD},
        {"sensor": TAIL, "value": VALUE + 1, "by": FIELD + "-updated"},
        {"sensor": TAIL, "value": FIELD, "by": TAIL},  # breaks its contract
        {"sensor": TAIL, "value": VALUE, "by": [FIELD], TAIL: FIELD},
        f'{{"sensor": "{TAIL}", "value": {VALUE}, "by": "{FIELD}"',  # no JSON
        Delete(TAIL),
    ]
    async with gateway.client() as client:
        await client.contracts.put(CONTRACT)
        outcomes: list[Outcome] = []
        async with client.stream(DATASET, "planted", producer="test", on_outcome=outcomes.append) as stream:
            await stream.send(records)
        (outcome,) = outcomes
        assert (outcome.accepted, outcome.quarantined) == (3, 3)
    async with httpx.AsyncClient() as web:
        metrics = (await web.get(f"http://127.0.0.1:{gateway.http_port}/metrics")).content
    assert b"# TYPE" in metrics
    connection = await asyncpg.connect(reachable(gateway.superuser_dsn))
    await connection.execute("CHECKPOINT")
    await connection.close()
    gateway.end()

    places = {path.as_posix(): path.read_bytes() for path in files(gateway.data_dir)}
    places |= {"metrics": metrics, "log": gateway.log.read_bytes()}
    assert any("/pg_wal/" in place for place in places)
    assert any(place.endswith("postgres.log") for place in places)
    # What must be found shows that the search would find the rest.
    assert any(b"planted" in content for place, content in places.items() if "/base/" in place)
    for secret in (TAIL, FIELD, str(VALUE)):
        encoded = secret.encode()
        spellings = (encoded, encoded.hex().encode(), secret.encode("utf-16-le"))
        found = [place for place, content in places.items() if any(s in content for s in spellings)]
        assert found == [], secret
    binary = VALUE.to_bytes(8, "big"), VALUE.to_bytes(8, "little")
    assert [place for place, content in places.items() if any(b in content for b in binary)] == []
