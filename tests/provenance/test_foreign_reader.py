"""A log's directory as it stands passes readers that know nothing of the gateway: Tessera's, and the auditors' tool."""

import asyncio
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from intelgraph._core import (
    LocalKeyring,
    TileWriter,
    Unlock,
    checkpoint_text,
    open_checkpoint,
    signed_note,
    vkey,
)
from intelgraph.provenance.kinds.spine import ContractPublished
from intelgraph.provenance.ledger import Act
from intelgraph.provenance.log_directory import LogDirectory
from intelgraph.provenance.sequencer import Sequencer
from intelgraph.storage.database import Database
from tests.parts.go_program import go_program
from tests.parts.ledger import TESTER, ledger_parts
from tests.parts.verify_tool import VerifyTool

OWNER = b"\xff" * 16
ORIGIN = "ledger.example/42"


@dataclass(frozen=True)
class Log:
    """A log's directory and the verifier key of its checkpoints."""

    root: Path
    vkey: str

    def altered(self, place: Path, path: str, at: int) -> "Log":
        """A copy with one bit of one file another."""
        shutil.copytree(self.root, place)
        content = bytearray((place / path).read_bytes())
        content[at] ^= 1
        (place / path).write_bytes(content)
        return Log(place, self.vkey)


@pytest.fixture(scope="module")
def large_log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """256² + 464 entries: tiles of three levels, and partial ones of smaller trees."""
    root = tmp_path_factory.mktemp("log")
    log, writer = LogDirectory(root), TileWriter.empty()
    for size in (1, 300, 65_800, 66_000):
        entries = [f"entry {number}".encode() for number in range(writer.size, size)]
        for path, content in writer.append(entries):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
    keyring = LocalKeyring.create(Unlock.key_file(b"k" * 32))
    keyring.create_kek(OWNER, 0)
    text = checkpoint_text(ORIGIN, writer.size, writer.root)
    _, public_key = keyring.verifying_key(OWNER)
    _, signature = keyring.sign(OWNER, text)
    log.publish(signed_note(text, ORIGIN, public_key, signature))
    return Log(root, vkey(ORIGIN, public_key))


async def sequenced_log(database: Database, place: Path) -> Log:
    """A log that the sequencer wrote, in three groups."""
    log = LogDirectory(place / "log")
    async with ledger_parts(database, place / "keys") as parts:
        sequencer = Sequencer(database, log, [], parts.signer)
        await sequencer.start()
        async with database.write() as connection:
            origin = str(await connection.fetchval("SELECT origin FROM ledger_log"))
        keys = await parts.signer.verifier_keys(origin)
        size = 0
        for group in (7, 256, 300):
            acts = [
                Act(
                    ContractPublished("flights", f"1.0.{number}", "ab" * 32), "contract:flights", TESTER, None
                )
                for number in range(group)
            ]
            async with database.write() as connection:
                await parts.ledger.append_all(connection, acts)
            size += group
            async with asyncio.timeout(20):
                while True:
                    note = log.checkpoint()
                    if note is not None and open_checkpoint(note, keys)[1] == size:
                        break
                    await asyncio.sleep(0.02)
        await sequencer.stop()
    return Log(log.root, keys[0])


def passes_tessera(program: Path, log: Log) -> bool:
    command = [str(program), str(log.root), log.vkey]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode in {0, 1}, done.stderr
    return done.returncode == 0


@pytest.fixture(scope="module")
def tessera() -> Path:
    """Tessera's fsck."""
    return go_program("tessera")


@pytest.mark.timeout(600)  # the first build compiles Go's own library too
def test_tessera_reads_a_log_of_three_levels(tessera: Path, large_log: Log, tmp_path: Path) -> None:
    assert passes_tessera(tessera, large_log)
    for number, path in enumerate(("tile/entries/007", "tile/0/007", "tile/1/001.p/1", "checkpoint")):
        assert not passes_tessera(tessera, large_log.altered(tmp_path / str(number), path, 20)), path


@pytest.mark.timeout(600)
async def test_tessera_reads_what_the_sequencer_wrote(
    tessera: Path, database: Database, tmp_path: Path
) -> None:
    assert passes_tessera(tessera, await sequenced_log(database, tmp_path))


def test_the_auditors_tool_reads_a_log_of_three_levels(
    verify_tool: VerifyTool, large_log: Log, tmp_path: Path
) -> None:
    status, report = verify_tool.report("log", large_log.root, "--vkey", large_log.vkey)
    assert (status, report["findings"], report["checkpoint"]["size"]) == (0, [], 66_000)
    altered = large_log.altered(tmp_path / "altered", "tile/entries/007", 2)
    status, report = verify_tool.report("log", altered.root, "--vkey", large_log.vkey)
    (finding,) = report["findings"]
    assert (status, finding["reason"]) == (1, "ENTRY_ALTERED")
    assert (finding["file"], finding["index"]) == ("tile/entries/007", 7 * 256)


async def test_the_auditors_tool_reads_what_the_sequencer_wrote(
    database: Database, verify_tool: VerifyTool, tmp_path: Path
) -> None:
    log = await sequenced_log(database, tmp_path)
    status, report = verify_tool.report("log", log.root, "--vkey", log.vkey)
    assert (status, report["findings"], report["checkpoint"]["size"]) == (0, [], 563)
