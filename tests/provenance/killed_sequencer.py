"""Run as a script: a real sequencer that kills itself behind a step, as `kill -9` would.

    killed_sequencer.py OWNER_DSN WRITER_DSN READER_DSN DIRECTORY STEP ROUNDS

DIRECTORY holds keys, log and copy; so many rounds pass the step, `-` for none, before it strikes.
Says `working` once it has looked at the log, and `at` and the step before it kills itself, or stops itself (SIGSTOP)
where the step begins with `stop:`. Every checkpoint that it signs is kept in the file `signed`.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from pydantic import SecretStr

from intelgraph._core import Unlock
from intelgraph.keys.checkpoint_key import KeyringCheckpointKey
from intelgraph.keys.keyring_file import KeyringFile
from intelgraph.provenance.checkpoints import Checkpoint, CheckpointSigner
from intelgraph.provenance.log_directory import LogDirectory
from intelgraph.provenance.sequencer import Sequencer, Step
from intelgraph.storage.database import Database
from intelgraph.storage.settings import StorageSettings


class RememberingSigner(CheckpointSigner):
    """Signs nothing without a trace."""

    def __init__(self, key: KeyringCheckpointKey, signed: Path) -> None:
        super().__init__(key)
        self._signed = signed

    async def sign(self, origin: str, size: int, root: bytes) -> Checkpoint:
        """As the real one."""
        checkpoint = await super().sign(origin, size, root)
        with self._signed.open("a") as file:
            file.write(f"{origin} {size} {root.hex()}\n")
        return checkpoint


async def main(owner: str, writer: str, reader: str, root: Path, step: str, rounds: int) -> None:
    """Sequences until it is killed, told to end by a line on its input, or, without a step, done."""
    settings = StorageSettings(
        owner_dsn=SecretStr(owner), writer_dsn=SecretStr(writer), reader_dsn=SecretStr(reader)
    )
    database = await Database.connect(settings)
    key_file = (root / "keys/keyring.key").read_bytes()
    keyring = KeyringFile(root / "keys/keyring.sealed", Unlock.key_file(key_file))
    stops, _, name = step.rpartition(":")
    left = rounds

    def reached(at: Step) -> None:
        nonlocal left
        if at.value != name:
            return
        left -= 1
        if left == -1:
            print("at", at.value, flush=True)  # noqa: T201 (the test reads it)
            os.kill(os.getpid(), signal.SIGSTOP if stops else signal.SIGKILL)

    signer = RememberingSigner(KeyringCheckpointKey(keyring), root / "signed")
    sequencer = Sequencer(
        database, LogDirectory(root / "log"), [LogDirectory(root / "copy")], signer, reached=reached
    )
    await sequencer.start()
    print("working", flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.readline)
    await sequencer.stop()
    await database.close()


if __name__ == "__main__":
    owner_dsn, writer_dsn, reader_dsn, directory, step_name, to_pass = sys.argv[1:]
    asyncio.run(main(owner_dsn, writer_dsn, reader_dsn, Path(directory), step_name, int(to_pass)))
