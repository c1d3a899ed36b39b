"""Signatures of witnesses are taken when they are theirs, and published with the checkpoint."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from intelgraph._core import cosign, open_checkpoint, vkey
from intelgraph.errors import InvalidArgument, NotFound
from intelgraph.provenance.kinds.spine import ContractPublished
from intelgraph.provenance.log_directory import LogDirectory
from intelgraph.provenance.sequencer import Sequencer
from intelgraph.provenance.witnesses import Witnesses
from intelgraph.storage.database import Database
from tests.parts.ledger import TESTER, LedgerParts, ledger_parts

NAME = "witness.example/w1"


@dataclass
class Witness:
    """A party that signs checkpoints."""

    seed: bytes

    @property
    def key(self) -> str:
        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        return vkey(NAME, public, cosigner=True)

    def sign(self, note: bytes) -> str:
        return cosign(note, NAME, self.seed, int(time.time()))


@dataclass
class Log:
    parts: LedgerParts
    directory: LogDirectory
    witnesses: Witnesses
    witness: Witness

    @property
    def note(self) -> bytes:
        note = self.directory.checkpoint()
        assert note is not None
        return note


@pytest_asyncio.fixture
async def log(database: Database, tmp_path: Path) -> AsyncIterator[Log]:
    witness = Witness(os.urandom(32))
    async with ledger_parts(database, tmp_path / "keys") as parts:
        directory = LogDirectory(tmp_path / "log")
        async with database.write() as connection:
            facts = ContractPublished("flights", "1.0.0", "ab" * 32)
            await parts.ledger.append(connection, facts, subject="contract", by=TESTER, tenant=None)
        sequencer = Sequencer(database, directory, [], parts.signer)
        await sequencer.start()
        async with asyncio.timeout(20):
            while directory.checkpoint() is None:  # noqa: ASYNC110 (the sequencer sets no event)
                await asyncio.sleep(0.02)
        yield Log(parts, directory, Witnesses(database, [witness.key]), witness)
        await sequencer.stop()


async def test_a_cosignature_is_published_with_the_checkpoint(log: Log) -> None:
    note = log.note
    line = log.witness.sign(note)
    cosigned = await log.witnesses.take(1, line)
    origin, size, _, _ = open_checkpoint(
        note, await log.parts.signer.verifier_keys(note.decode().split("\n")[0])
    )
    keys = [*await log.parts.signer.verifier_keys(origin), log.witness.key]
    async with asyncio.timeout(20):
        while log.note == note:  # noqa: ASYNC110 (as above)
            await asyncio.sleep(0.02)
    assert log.note == cosigned
    _, published, _, signers = open_checkpoint(log.note, keys)
    assert (published, size) == (1, 1)
    assert [name for name, signed_at in signers if signed_at is not None] == [NAME]
    # Handed in twice, it stands there once.
    assert await log.witnesses.take(1, line) == cosigned


async def test_what_is_no_signature_of_a_known_witness_is_refused(log: Log) -> None:
    line = log.witness.sign(log.note)
    stranger = Witness(os.urandom(32))
    for size, given, reason in (
        (1, stranger.sign(log.note), "COSIGNATURE_INVALID"),
        (1, line[:-6] + "AAAA=\n", "COSIGNATURE_INVALID"),
        (1, line.replace(NAME, "nobody.example"), "COSIGNATURE_UNKNOWN"),
        (1, "", "COSIGNATURE_UNKNOWN"),
        (1, "\N{EM DASH} one two three", "COSIGNATURE_UNKNOWN"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            await log.witnesses.take(size, given)
        assert caught.value.reason == reason, given
    with pytest.raises(NotFound):
        await log.witnesses.take(7, line)
