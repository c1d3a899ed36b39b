"""Two gateways on one database take the same entities in: each history stays one line."""

from __future__ import annotations

import asyncio
import random
import time

from tests.faults.audit import audit_documents, audit_log
from tests.faults.gateway import GatewayProcess
from tests.faults.load import CONTRACT, Producer, load
from tests.faults.report import Report


async def test_on_the_same_entities(
    two_gateways: tuple[GatewayProcess, GatewayProcess],
    moments: random.Random,
    report: Report,
    is_full: bool,
) -> None:
    began = time.monotonic()
    sensors = [f"shared-{number}" for number in range(30)]
    left, right = (
        [Producer(f"{side}-{number}", sensors) for number in range(2)] for side in ("left", "right")
    )
    first, second = two_gateways
    async with first.client() as client, second.client() as other:
        await client.contracts.put(CONTRACT)
        async with load(client, left), load(other, right):
            await asyncio.sleep(30.0 if is_full else 4.0)
        streams = [*left, *right]
        seconds = time.monotonic() - began
        survived = await audit_log(first.superuser_dsn, streams, faults=0, seconds=seconds)
        await audit_documents(client, streams, moments)
        await audit_documents(other, streams, moments)
    report.survived["two_gateways"] = survived
