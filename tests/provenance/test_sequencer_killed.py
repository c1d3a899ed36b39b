"""A sequencer may end at any moment, and everything around it: no gap, nothing twice, no two logs of one name."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from intelgraph.errors import IntelGraphError
from intelgraph.provenance.kinds.spine import ContractPublished
from intelgraph.provenance.ledger import Act
from intelgraph.provenance.log_directory import LogDirectory
from intelgraph.provenance.sequencer import Step
from intelgraph.storage.cluster import DATABASE, SUPERUSER
from intelgraph.storage.database import Database
from intelgraph.storage.embedded import EmbeddedServer
from intelgraph.storage.settings import StorageSettings
from tests.parts.disk import small_disk
from tests.parts.ledger import TESTER, ledger_parts
from tests.provenance.log_world import LogWorld

SCRIPT = Path(__file__).with_name("killed_sequencer.py")


class Appending:
    """Clients that append batches all the time, and know what was committed."""

    def __init__(self, log_world: LogWorld, *, clients: int = 4) -> None:
        self._world = log_world
        self._clients = clients
        self.committed: list[UUID] = []
        self.unknown: list[UUID] = []
        """Of transactions that ended with an error: they may have committed."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stopping = asyncio.Event()
        tasks = [asyncio.create_task(self._client(number, stopping)) for number in range(self._clients)]
        try:
            yield
        finally:
            stopping.set()
            await asyncio.gather(*tasks)

    async def _client(self, number: int, stopping: asyncio.Event) -> None:
        draw = random.Random(number)  # noqa: S311 (sizes of batches)
        while not stopping.is_set():
            await self.batch(draw.choice((1, 3, 40)))
            await asyncio.sleep(draw.uniform(0.0, 0.05))

    async def batch(self, entries: int) -> None:
        acts = [Act(ContractPublished("d", "1.0.0", "ab" * 32), "contract:d", TESTER, None)] * entries
        ids: list[UUID] = []
        try:
            async with self._world.database.write() as connection:
                entered = await self._world.parts.ledger.append_all(connection, acts)
                ids = [UUID(bytes=entry_id) for entry_id in entered]
        except IntelGraphError:
            self.unknown += ids
        else:
            self.committed += ids


class Process:
    """The script. Its files are beside the world's."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        assert self.process.stdout is not None
        return (await asyncio.wait_for(self.process.stdout.readline(), 30)).decode().strip()

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 30)


@asynccontextmanager
async def sequencer_process(
    settings: StorageSettings, root: Path, step: str = "-", rounds: int = 0
) -> AsyncIterator[Process]:
    secrets = (settings.owner_dsn, settings.writer_dsn, settings.reader_dsn)
    addresses = [each.get_secret_value() for each in secrets if each is not None]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPT), *addresses, str(root), step, str(rounds)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Process(process)
        if process.returncode is None and process.stdin is not None:
            process.stdin.write(b"\n")
            await process.stdin.drain()
            assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        # The pipes' transports end with the next turns of the loop.
        await asyncio.sleep(0.05)


class Seen:
    """Every checkpoint that was ever signed, stored or published, by its name and size."""

    def __init__(self) -> None:
        self.roots: dict[tuple[str, int], str] = {}

    def add(self, origin: str, size: int, root: str) -> None:
        assert self.roots.setdefault((origin, size), root) == root, f"two checkpoints of {size}"

    async def collect(self, log_world: LogWorld) -> None:
        for directory in (log_world.directory, log_world.copy):
            if directory.checkpoint() is not None:
                published = await log_world.published(directory)
                self.add(published.origin, published.size, published.root.hex())
        for row in await log_world.superuser("SELECT origin, size, root FROM ledger_checkpoint"):
            self.add(row["origin"], row["size"], row["root"].hex())
        signed = log_world.directory.root.with_name("signed")
        for line in signed.read_text().splitlines() if signed.exists() else ():
            origin, size, root = line.split(" ")
            self.add(origin, int(size), root)


async def verify(log_world: LogWorld, appending: Appending) -> None:
    """The log has what was committed, each once, and a stranger finds it so in the files."""
    async with log_world.sequencing():
        pass
    size = (await log_world.head()).size
    await log_world.verify(size)
    counted = Counter(row["entry_id"] for row in await log_world.entries())
    assert max(counted.values(), default=1) == 1
    assert set(appending.committed) <= counted.keys() <= {*appending.committed, *appending.unknown}
    times = [row["sequenced"] for row in await log_world.entries()]
    assert times == sorted(times)
    assert await log_world.outbox() == 0


def kills(*, full: bool) -> Iterable[tuple[Step, int]]:
    """Behind each step: the first time that it is reached, and once more between rounds."""
    draw = random.Random(5)  # noqa: S311 (the order of the steps)
    for _ in range(6 if full else 1):
        rounds = [(step, rounds) for step in Step for rounds in ((0, 1, 2, 3) if full else (0, 1))]
        draw.shuffle(rounds)
        yield from rounds


@pytest.mark.timeout(1800)
async def test_killed_behind_every_step(
    log_world: LogWorld, storage_settings: StorageSettings, tmp_path: Path, is_full: bool
) -> None:
    appending, seen = Appending(log_world), Seen()
    await appending.batch(300)
    reached = set()
    async with appending.running():
        for step, rounds in kills(full=is_full):
            async with sequencer_process(storage_settings, tmp_path, step.value, rounds) as killed:
                while (said := await killed.line()) == "working":
                    pass
                assert said == f"at {step.value}"
                assert await killed.ended() == -signal.SIGKILL
            reached.add(step)
            await seen.collect(log_world)
    assert reached == set(Step)
    await verify(log_world, appending)
    await seen.collect(log_world)
    assert len(seen.roots) > len(Step)


@pytest.mark.timeout(1800)
async def test_one_that_was_frozen_with_the_lock_disturbs_nobody(
    log_world: LogWorld, storage_settings: StorageSettings, tmp_path: Path, is_full: bool
) -> None:
    appending, seen = Appending(log_world), Seen()
    await log_world.sequenced(10)
    appending.committed += [row["entry_id"] for row in await log_world.entries()]
    for step in Step if is_full else (Step.TAKEN, Step.COMMITTED, Step.STORED):
        await appending.batch(40)
        async with sequencer_process(storage_settings, tmp_path, f"stop:{step.value}") as zombie:
            while await zombie.line() != f"at {step.value}":
                pass
            await log_world.superuser(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'intelgraph-sequencer' AND datname = current_database()"
            )
            async with log_world.sequencing():
                await appending.batch(300)
                await until_empty(log_world)
                size = (await log_world.head()).size
                await log_world.until(size)
                await seen.collect(log_world)
                os.kill(zombie.process.pid, signal.SIGCONT)
                # It goes on with what it had in hand, and finds that it lost the lock.
                await asyncio.sleep(1.0)
                await log_world.until(size)
                await appending.batch(5)
                await log_world.until(size + 5)
        await seen.collect(log_world)
    await verify(log_world, appending)


async def until_empty(log_world: LogWorld) -> None:
    async with asyncio.timeout(30):
        while await log_world.outbox():  # noqa: ASYNC110 (another process empties it)
            await asyncio.sleep(0.02)


async def test_connections_that_are_cut_lose_nothing(log_world: LogWorld) -> None:
    appending = Appending(log_world, clients=2)
    draw = random.Random(11)  # noqa: S311 (moments at which connections are cut)
    async with log_world.sequencing(), appending.running():
        for _ in range(6):
            await asyncio.sleep(draw.uniform(0.05, 0.6))
            await log_world.superuser(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE 'intelgraph-%' AND datname = current_database()"
            )
    await verify(log_world, appending)


async def test_a_postgresql_that_is_killed_loses_nothing(data_dir: Path, tmp_path: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        database = await Database.connect(server.addresses(StorageSettings()))
        try:
            async with ledger_parts(database, tmp_path / "keys") as parts:
                log_world = LogWorld(
                    database,
                    parts,
                    LogDirectory(tmp_path / "log"),
                    LogDirectory(tmp_path / "copy"),
                    server.dsn(SUPERUSER, DATABASE),
                )
                appending, seen = Appending(log_world, clients=2), Seen()
                async with log_world.sequencing(), appending.running():
                    for _ in range(2):
                        await asyncio.sleep(1.0)
                        assert server.pid is not None
                        os.kill(server.pid, signal.SIGKILL)
                    await asyncio.sleep(2.0)
                    await appending.batch(3)
                await verify(log_world, appending)
                await seen.collect(log_world)
        finally:
            await database.close()


@contextmanager
def filled(place: Path) -> Iterator[None]:
    """A disk without a byte left."""
    filling = place / "filling"
    with contextlib.suppress(OSError), filling.open("wb") as file:
        for _ in itertools.count():
            file.write(bytes(1 << 20))
            file.flush()
    with contextlib.suppress(OSError), filling.open("ab") as file:
        for _ in itertools.count():
            file.write(bytes(1))
            file.flush()
    yield
    filling.unlink()


async def test_a_full_disk_of_the_log_is_a_pause(log_world: LogWorld, tmp_path: Path) -> None:
    appending = Appending(log_world)
    with small_disk(tmp_path / "disk") as disk:
        log_world.directory = LogDirectory(disk / "log")
        await appending.batch(300)
        async with log_world.sequencing():
            await log_world.until(300)
            with filled(disk):
                await appending.batch(700)
                await asyncio.sleep(1.5)
                # Sequenced, as far as the database goes; not signed, and nothing is refused.
                assert (await log_world.published()).size == 300
                await appending.batch(1)
            await log_world.until(1001)
        await verify(log_world, appending)


async def test_a_clock_that_was_set_back_does_not_show(log_world: LogWorld) -> None:
    appending = Appending(log_world)
    await appending.batch(5)
    async with log_world.sequencing():
        await log_world.until(5)
        # As if the clock had been an hour ahead until now.
        (row,) = await log_world.superuser(
            "UPDATE ledger_log SET sequenced = clock_timestamp() + interval '1 hour' RETURNING sequenced"
        )
        await appending.batch(5)
        await log_world.until(10)
    times = [entry["sequenced"] for entry in await log_world.entries()]
    assert times[5:] == [row["sequenced"]] * 5
    await verify(log_world, appending)
