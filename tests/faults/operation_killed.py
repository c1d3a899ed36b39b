"""Runs of retention in processes of their own, each ended by `kill -9` at another place, and gone on with by another.

    python -m tests.faults.operation_killed SETTINGS KEYS EVERY

SETTINGS is a JSON object with the three addresses of a migrated database, KEYS a directory for the keyring. Every
EVERY-th place is struck. Prints a JSON object: what a run leaves that was left alone, and what those leave that were
struck, by the place.

The processes are forked, so that what they import is imported once; none has a thread or a loop yet.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from intelgraph.operations.operation import OperationState
from intelgraph.storage.database import Database
from intelgraph.storage.settings import StorageSettings
from tests.retention.runs import Runs
from tests.temporal.world import World, running, upsert

CHANGES, DUE = 12, 8
MOST_PLACES = 200


class KilledAt:
    """Ends the process at the n-th place, as `kill -9` does, and tells the places that were passed."""

    def __init__(self, place: int, passed: Path) -> None:
        self._place = place
        self._passed = passed
        self._count = 0

    def __call__(self, where: str) -> None:
        self._count += 1
        with self._passed.open("a") as file:
            file.write(f"{where}\n")
        if self._count == self._place:
            os.kill(os.getpid(), signal.SIGKILL)


def in_a_process(work: Callable[[], Awaitable[None]]) -> int:
    """Runs `work` in a forked process; its exit status as `waitpid` gives it."""
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(_awaited(work))
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


async def _awaited(work: Callable[[], Awaitable[None]]) -> None:
    await work()


async def begin(storage: StorageSettings, keys: Path, place: int, passed: Path) -> None:
    """Makes a log, asks for a run, and runs it up to the place."""
    async with gateway(storage, keys) as (world, runs):
        tenant = await world.tenant(name=f"struck-{place}")
        changes = [{"id": f"S{n % 2}", "at": n, "n": n, "text": "x" * 2000} for n in range(1, CHANGES + 1)]
        await world.ingest(tenant, *map(upsert, changes))
        await runs.age(tenant, DUE, 31)
        await runs.start(tenant)
        await runs.hold_all(runs.runner(after_step=KilledAt(place, passed), lease_seconds=1))


async def go_on(storage: StorageSettings, keys: Path, place: int, left: Path) -> None:
    """Goes on with the run, once the lease is over, and writes down what it leaves."""
    async with gateway(storage, keys) as (world, runs):
        tenant = await world.registry.get(f"struck-{place}")
        async with asyncio.timeout(60):
            while True:
                await runs.hold_all(runs.runner())
                (operation,) = await runs.operations.page(tenant, kind="", states=[], before=None, limit=2)
                if operation.state is OperationState.DONE:
                    break
                await asyncio.sleep(0.05)
        verdict = await world.verifier.verify(tenant)
        async with world.database.read(tenant.tenant_id) as connection:
            rows = await connection.fetch(
                "SELECT seq, since_base, snapshot IS NOT NULL AS snapshot FROM entity_change_log ORDER BY seq"
            )
            steps = await connection.fetch("SELECT step, phase FROM operation_step ORDER BY number")
        found: dict[str, Any] = {
            "findings": [finding.reason for finding in verdict.findings],
            "ranges": verdict.removed_ranges,
            "rows": [list(row) for row in rows],
            "steps": [list(row) for row in steps],
            "removed": runs.by_dataset(operation)["stations"]["removed"],
        }
        await asyncio.to_thread(left.write_text, json.dumps(found))


class gateway:  # noqa: N801 (a context manager, used as one)
    """A gateway without its wire."""

    def __init__(self, storage: StorageSettings, keys: Path) -> None:
        self._storage = storage
        self._keys = keys

    async def __aenter__(self) -> tuple[World, Runs]:
        self._database = await Database.connect(self._storage)
        self._running = running(self._database, self._keys)
        world = await self._running.__aenter__()
        return world, Runs(world, self._storage, batch_changes=DUE // 2)

    async def __aexit__(self, *error: object) -> None:
        await self._running.__aexit__(None, None, None)
        await self._database.close()


def main(addresses: str, keys: Path, every: int) -> dict[str, Any]:
    """See the module's docstring."""
    storage = StorageSettings.model_validate(json.loads(addresses))
    passed, left = keys.parent / "passed", keys.parent / "left"
    outcomes: dict[int, Any] = {}
    places: list[str] = []
    for place in [0, *range(1, MOST_PLACES, every)]:
        if place > len(places) and place:
            break
        passed.unlink(missing_ok=True)
        status = in_a_process(lambda at=place: begin(storage, keys, at, passed))  # type: ignore[misc] # bound now
        places = places or passed.read_text().splitlines()
        if place and not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            raise AssertionError(f"it was not killed at place {place}: {status}")
        if in_a_process(lambda at=place: go_on(storage, keys, at, left)):  # type: ignore[misc] # bound now
            raise AssertionError(f"nobody went on after {places[place - 1]}")
        outcomes[place] = json.loads(left.read_text())
    return {
        "places": places,
        "expected": outcomes.pop(0),
        "struck": {f"{at}: {places[at - 1]}": outcome for at, outcome in outcomes.items()},
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))  # noqa: T201 (the answer)
