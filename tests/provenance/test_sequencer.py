"""Entries get an index each, without gaps, in tiles that their checkpoint covers, whoever sequences."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest_asyncio

from intelgraph._core import inclusion_proof, leaf, leaf_hash, open_checkpoint, verify_inclusion
from intelgraph.provenance.checkpoints import CheckpointSigner
from intelgraph.provenance.kinds.spine import ContractPublished
from intelgraph.provenance.ledger import Act
from intelgraph.provenance.log_directory import LogDirectory
from intelgraph.provenance.sequencer import Sequencer
from intelgraph.storage.database import Database
from tests.parts.ledger import TESTER, LedgerParts, ledger_parts


@pytest_asyncio.fixture
async def parts(database: Database, tmp_path: Path) -> AsyncIterator[LedgerParts]:
    async with ledger_parts(database, tmp_path / "keys") as opened:
        yield opened


@asynccontextmanager
async def sequencing(database: Database, parts: LedgerParts, directory: Path) -> AsyncIterator[LogDirectory]:
    """A sequencer for as long as the block runs."""
    log = LogDirectory(directory)
    sequencer = Sequencer(database, log, [LogDirectory(directory.parent / "copy")], parts.signer)
    await sequencer.start()
    try:
        yield log
    finally:
        await sequencer.stop()


async def append(database: Database, parts: LedgerParts, entries: int) -> None:
    acts = [
        Act(ContractPublished("flights", f"1.0.{number}", "ab" * 32), "contract:flights", TESTER, None)
        for number in range(entries)
    ]
    async with database.write() as connection:
        await parts.ledger.append_all(connection, acts)


async def until_size(log: LogDirectory, size: int, signer: CheckpointSigner, origin: str) -> bytes:
    """The root of the published checkpoint, once it is of that size."""
    async with asyncio.timeout(20):
        while True:
            checkpoint = await signer.opened(log.checkpoint(), origin, "test")
            if checkpoint is not None and checkpoint.size == size:
                return checkpoint.root
            await asyncio.sleep(0.02)


async def origin_of(database: Database) -> str:
    async with database.write() as connection:
        return str(await connection.fetchval("SELECT origin FROM ledger_log"))


async def test_every_entry_is_in_the_log_and_provably_so(
    database: Database, parts: LedgerParts, tmp_path: Path
) -> None:
    origin = await origin_of(database)
    async with sequencing(database, parts, tmp_path / "log") as log:
        for batch in (1, 255, 300):
            await append(database, parts, batch)
        root = await until_size(log, 556, parts.signer, origin)
    async with database.write() as connection:
        rows = await connection.fetch("SELECT index, commitments FROM ledger_entry ORDER BY index")
        assert await connection.fetchval("SELECT count(*) FROM ledger_outbox") == 0
    assert [row["index"] for row in rows] == list(range(556))
    for row in rows:
        entry = leaf(row["commitments"][:32], row["commitments"][32:])
        proof = inclusion_proof(row["index"], 556, log.read)
        verify_inclusion(row["index"], 556, leaf_hash(entry), proof, root)
    note, copied = log.checkpoint(), (tmp_path / "copy" / "checkpoint").read_bytes()
    assert note == copied
    assert open_checkpoint(copied, await parts.signer.verifier_keys(origin))[1] == 556


async def test_two_sequencers_take_turns(database: Database, parts: LedgerParts, tmp_path: Path) -> None:
    origin = await origin_of(database)
    async with sequencing(database, parts, tmp_path / "log") as log:
        async with sequencing(database, parts, tmp_path / "log"):
            for _ in range(10):
                await append(database, parts, 30)
            await until_size(log, 300, parts.signer, origin)
        await append(database, parts, 1)
        await until_size(log, 301, parts.signer, origin)
    async with database.write() as connection:
        indexes = [row["index"] for row in await connection.fetch("SELECT index FROM ledger_entry")]
    assert sorted(indexes) == list(range(301))


async def test_another_takes_over_when_the_holder_is_gone(
    database: Database, parts: LedgerParts, tmp_path: Path
) -> None:
    origin = await origin_of(database)
    holder = Sequencer(database, LogDirectory(tmp_path / "log"), [], parts.signer)
    await holder.start()
    async with sequencing(database, parts, tmp_path / "log") as log:
        await append(database, parts, 10)
        await until_size(log, 10, parts.signer, origin)
        await holder.stop()
        await append(database, parts, 10)
        await until_size(log, 20, parts.signer, origin)


async def test_partial_tiles_make_way_for_the_full_one(
    database: Database, parts: LedgerParts, tmp_path: Path
) -> None:
    origin = await origin_of(database)
    async with sequencing(database, parts, tmp_path / "log") as log:
        for size in (100, 200, 300):
            await append(database, parts, 100)
            await until_size(log, size, parts.signer, origin)
        async with asyncio.timeout(5):
            while (log.root / "tile/entries/000.p").exists():  # noqa: ASYNC110 (a directory tells nobody)
                await asyncio.sleep(0.01)
    files = {str(path.relative_to(log.root)) for path in log.root.rglob("*") if path.is_file()}
    of_level = {"000", "001.p/44"}
    assert files == {"checkpoint", "tile/1/000.p/1"} | {
        f"tile/{level}/{name}" for level in ("0", "entries") for name in of_level
    }
    # Who has the checkpoint of a smaller log is served from the full tile.
    assert len(inclusion_proof(7, 200, log.read)) == 8
    # What a crash left between the two is removed at the next start.
    (log.root / "tile/0/000.p").mkdir()
    (log.root / "tile/0/000.p/7").write_bytes(b"left")
    async with sequencing(database, parts, tmp_path / "log"):
        assert not (log.root / "tile/0/000.p").exists()


async def test_what_a_killed_writer_left_is_removed_and_nothing_else(
    database: Database, parts: LedgerParts, tmp_path: Path
) -> None:
    origin = await origin_of(database)
    async with sequencing(database, parts, tmp_path / "log") as log:
        await append(database, parts, 300)
        await until_size(log, 300, parts.signer, origin)
    before = {path for path in log.root.rglob("*") if path.is_file()}
    left = [log.root / ".checkpoint.123", log.root / "tile/0/.000.99", log.root / "tile/entries/001.p/.44.7"]
    kept = log.root / "tile/.note"
    for path in (*left, kept):
        path.write_bytes(b"half")
    async with sequencing(database, parts, tmp_path / "log"):
        assert {path for path in log.root.rglob("*") if path.is_file()} == before | {kept}


async def test_a_directory_that_was_lost_is_written_again(
    database: Database, parts: LedgerParts, tmp_path: Path
) -> None:
    origin = await origin_of(database)
    async with sequencing(database, parts, tmp_path / "log") as log:
        await append(database, parts, 600)
        await until_size(log, 600, parts.signer, origin)
    first = {path.relative_to(log.root): path.read_bytes() for path in log.root.rglob("*") if path.is_file()}
    (tmp_path / "log").rename(tmp_path / "lost")
    async with sequencing(database, parts, tmp_path / "log") as log:
        await until_size(log, 600, parts.signer, origin)
    second = {path.relative_to(log.root): path.read_bytes() for path in log.root.rglob("*") if path.is_file()}
    assert second == {path: first[path] for path in second}
    assert len(second) >= 8
