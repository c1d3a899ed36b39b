"""Run as a script: a real sequencer that kills itself behind a step, as `kill -9` would.

    killed_sequencer.py <writer's DSN> <directory with keys, log and copy> <step, or -> <how many rounds it lets go by>

Without a step it sequences until the outbox is empty, and ends. Says `working` once it holds the lock, and `at` and the
step once it has stopped itself there (SIGSTOP) where the step begins with `stop:`.
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
from intelgraph.provenance.checkpoints import CheckpointSigner
from intelgraph.provenance.log_directory import LogDirectory
from intelgraph.provenance.sequencer import Sequencer, Step
from intelgraph.storage.database import Database
from intelgraph.storage.settings import StorageSettings


async def main(owner: str, writer: str, reader: str, root: Path, step: str, rounds: int) -> None:
    """Sequences until it is killed, told to end by a line on its input, or, without a step, done."""
    dsn = {"owner_dsn": owner, "writer_dsn": writer, "reader_dsn": reader}
    database = await Database.connect(StorageSettings(**{k: SecretStr(v) for k, v in dsn.items()}))
    key_file = (root / "keys/keyring.key").read_bytes()
    keyring = KeyringFile(root / "keys/keyring.sealed", Unlock.key_file(key_file))
    stops, _, name = step.rpartition(":")
    left = rounds

    def reached(at: Step) -> None:
        nonlocal left
        if at.value != name:
            return
        left -= 1
        if left < 0:
            print("at", at.value, flush=True)  # noqa: T201 (the test reads it)
            os.kill(os.getpid(), signal.SIGSTOP if stops else signal.SIGKILL)

    signer = CheckpointSigner(KeyringCheckpointKey(keyring))
    sequencer = Sequencer(
        database, LogDirectory(root / "log"), [LogDirectory(root / "copy")], signer, reached=reached
    )
    await sequencer.start()
    print("working", flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.readline)
    await sequencer.stop()
    await database.close()


if __name__ == "__main__":
    asyncio.run(
        main(*sys.argv[1:4], root=Path(sys.argv[4]), step=sys.argv[5], rounds=int(sys.argv[6]))
    )
