"""Acts of many clients race for approvals: none is used twice, and none is lost."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Final

import asyncpg

from intelgraph.approvals.approval import Approval
from intelgraph.errors import FailedPrecondition
from intelgraph.storage.database import Database
from intelgraph.storage.settings import StorageSettings
from tests.approvals.world import ALICE, PLAN, World, world_on
from tests.faults.report import Raced, Report
from tests.parts.outbox import waiting

CLIENTS: Final = 16


async def test_none_is_used_twice(
    storage_settings: StorageSettings,
    tmp_path: Path,
    moments: random.Random,
    report: Report,
    is_full: bool,
) -> None:
    await _acts_can_be_counted(storage_settings)
    database = await Database.connect(storage_settings.model_copy(update={"writer_connections": CLIENTS}))
    async with world_on(database, tmp_path / "keys") as world:
        approvals = await _approved(world, 10_000 if is_full else 300)
        began = time.monotonic()
        orders = [random.Random(moments.random()) for _ in range(CLIENTS)]  # noqa: S311 (no secret)
        used = await asyncio.gather(*(_client(world, approvals, order) for order in orders))
        seconds = time.monotonic() - began
        async with database.write() as connection:
            acts = [row["approval_id"] for row in await connection.fetch("SELECT approval_id FROM act")]
            states = await connection.fetch("SELECT state, count(*) FROM approval GROUP BY state")
            # 75 is the number of the kind `approval.used`.
            entries = sum(entry.kind == 75 for entry in await waiting(connection))
    await database.close()

    assert sum(used) == len(acts) == len(set(acts)) == len(approvals)
    assert set(acts) == {approval.approval_id for approval in approvals}
    assert [tuple(row) for row in states] == [("used", len(approvals))]
    assert entries == len(approvals)
    assert min(used) > 0  # all of them raced
    attempts = CLIENTS * len(approvals)
    report.raced["approvals"] = Raced(
        approvals=len(approvals),
        clients=CLIENTS,
        attempts=attempts,
        acts=len(acts),
        seconds=round(seconds, 3),
        acts_per_s=round(len(acts) / seconds, 1),
        attempts_per_s=round(attempts / seconds, 1),
    )
    print(report.raced["approvals"])  # noqa: T201 (pytest shows it with -s)


async def _approved(world: World, number: int) -> list[Approval]:
    """So many approved requests, made and approved by several at once."""
    waiting = iter(range(number))
    approvals: list[Approval] = []

    async def make() -> None:
        approvals.extend([await world.approved() for _ in waiting])

    await asyncio.gather(*(make() for _ in range(CLIENTS)))
    return approvals


async def _client(world: World, approvals: list[Approval], order: random.Random) -> int:
    """Tries an act for every approval, near enough in step with the others to meet them; how many happened."""
    acted = 0
    for at in range(0, len(approvals), CLIENTS):
        near = approvals[at : at + CLIENTS]
        order.shuffle(near)
        for approval in near:
            acted += await _act(world, approval)
    return acted


async def _act(world: World, approval: Approval) -> bool:
    try:
        async with world.database.write() as connection:
            await connection.execute("INSERT INTO act VALUES ($1)", approval.approval_id)
            await world.approvals.consume(
                connection,
                approval_id=approval.approval_id,
                kind="manual.act",
                tenant=world.tenant,
                document=PLAN,
                by=ALICE.actor,
            )
    except FailedPrecondition as error:
        if error.reason != "APPROVAL_USED":
            raise
        return False
    return True


async def _acts_can_be_counted(settings: StorageSettings) -> None:
    """A table of acts that would take two of one approval."""
    assert settings.owner_dsn is not None
    owner = await asyncpg.connect(settings.owner_dsn.get_secret_value())
    await owner.execute("CREATE TABLE act (approval_id uuid NOT NULL)")
    await owner.execute("GRANT SELECT, INSERT ON act TO intelgraph_writer")
    await owner.close()
