"""A ledger whose database can be taken back in time, as a backup that is restored does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest_asyncio

from intelgraph._core import TileWriter, open_checkpoint
from intelgraph.provenance import log_rows
from intelgraph.provenance.checkpoints import Checkpoint
from intelgraph.provenance.kinds.spine import ContractPublished
from intelgraph.provenance.ledger import Act
from intelgraph.provenance.log_directory import LogDirectory
from intelgraph.provenance.log_rows import LogHead
from intelgraph.provenance.recovery import Recovery
from intelgraph.provenance.sequencer import Sequencer
from intelgraph.storage.cluster import SUPERUSER
from intelgraph.storage.database import Database
from intelgraph.storage.embedded import EmbeddedServer
from intelgraph.storage.settings import StorageSettings
from tests.parts.ledger import TESTER, LedgerParts, ledger_parts
from tests.parts.outbox import pack


@dataclass
class LogWorld:
    """A database, its ledger, a log directory and a copy of its checkpoint."""

    database: Database
    parts: LedgerParts
    directory: LogDirectory
    copy: LogDirectory
    superuser_dsn: str

    def sequencer(self) -> Sequencer:
        return Sequencer(self.database, self.directory, [self.copy], self.parts.signer)

    @asynccontextmanager
    async def sequencing(self) -> AsyncIterator[None]:
        sequencer = self.sequencer()
        await sequencer.start()
        try:
            yield
        finally:
            await sequencer.stop()

    async def append(self, entries: int, dataset: str = "flights") -> None:
        acts = [
            Act(ContractPublished(dataset, f"1.0.{number}", "ab" * 32), "contract:flights", TESTER, None)
            for number in range(entries)
        ]
        async with self.database.write() as connection:
            await self.parts.ledger.append_all(connection, acts)

    async def sequenced(self, entries: int, dataset: str = "flights") -> LogHead:
        """Appends entries and has them in a signed checkpoint."""
        await self.append(entries, dataset)
        async with self.sequencing():
            pass
        return await self.head()

    async def head(self) -> LogHead:
        async with self.database.write() as connection:
            return await log_rows.head(connection)

    async def outbox(self) -> int:
        async with self.database.write() as connection:
            return await log_rows.waiting(connection)

    async def entries(self) -> Sequence[asyncpg.Record]:
        return await self.superuser("SELECT * FROM ledger_entry ORDER BY index")

    async def published(self, directory: LogDirectory | None = None) -> Checkpoint:
        """The checkpoint that lies in the directory, or in another one."""
        note = (directory or self.directory).checkpoint()
        assert note is not None
        opened = await self.parts.signer.of_line(note, (await self.head()).origin, "the test")
        assert opened is not None
        return opened

    async def until(self, size: int) -> None:
        """Returns once a checkpoint of that size is published everywhere."""
        async with asyncio.timeout(20):
            while True:
                origin = (await self.head()).origin
                keys = await self.parts.signer.verifier_keys(origin)
                notes = [each.checkpoint() for each in (self.directory, self.copy)]
                if all(note and note.startswith(origin.encode() + b"\n") for note in notes) and {
                    open_checkpoint(note or b"", keys)[1] for note in notes
                } == {size}:
                    return
                await asyncio.sleep(0.02)

    async def take_back(self, size: int, *, in_outbox: int = 0) -> None:
        """The database as it was when the log had `size` entries and the outbox the `in_outbox` ones after them."""
        rows = await self.entries()
        edge = TileWriter.empty()
        edge.append_commitments(b"".join(row["commitments"] for row in rows[:size]))
        for row in rows[size : size + in_outbox]:
            await self.superuser(
                "INSERT INTO ledger_outbox (entries, packed) VALUES (1, $1)", pack(dict(row))
            )
        await self.superuser("DELETE FROM ledger_entry WHERE index >= $1", size)
        await self.superuser("DELETE FROM ledger_checkpoint WHERE size > $1", size)
        await self.superuser("UPDATE ledger_log SET size = $1, root = $2", size, edge.root)

    async def superuser(self, statement: str, *arguments: object) -> Sequence[asyncpg.Record]:
        """Does what no role of the gateway may do."""
        connection = await asyncpg.connect(self.superuser_dsn)
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    def recovery(self) -> Recovery:
        return Recovery(self.database, self.directory, [self.copy], self.parts.signer, self.parts.ledger)

    async def verify(self, size: int) -> None:
        """Reads the log as a stranger does, from the files alone, and compares it with the database."""
        checkpoint = await self.published()
        assert checkpoint.size == size
        assert (await self.published(self.copy)).root == checkpoint.root
        rows = await self.entries()
        assert [row["index"] for row in rows] == list(range(size))
        edge = TileWriter.empty()
        files = dict(edge.append_commitments(b"".join(row["commitments"] for row in rows)))
        assert edge.root == checkpoint.root
        for path, content in files.items():
            assert self.directory.read(path) == content, path


@pytest_asyncio.fixture
async def log_world(
    database: Database, storage_settings: StorageSettings, postgres: EmbeddedServer, tmp_path: Path
) -> AsyncIterator[LogWorld]:
    assert storage_settings.owner_dsn is not None
    name = urlsplit(storage_settings.owner_dsn.get_secret_value()).path.removeprefix("/")
    async with ledger_parts(database, tmp_path / "keys") as parts:
        yield LogWorld(
            database,
            parts,
            LogDirectory(tmp_path / "log"),
            LogDirectory(tmp_path / "copy"),
            postgres.dsn(SUPERUSER, name),
        )
