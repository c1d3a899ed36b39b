"""The operator's key that signs the ledger's checkpoints, from the keyring."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from intelgraph._core import CoreError
from intelgraph.errors import IntelGraphError, Unavailable
from intelgraph.keys.keyring_file import KeyringFile

OWNER: Final = UUID("706c6174-666f-8d72-8000-000000000001")
"""Whose versions in the keyring are the signing keys. They wrap nothing: a seed is derived from each."""

RETRY_SECONDS: Final = 1.0


class KeyringCheckpointKey:
    """A `CheckpointKey` over the keyring file. A version that is made later signs from then on."""

    def __init__(self, keyring: KeyringFile) -> None:
        self._keyring = keyring

    async def public_keys(self) -> Sequence[bytes]:
        """Of all versions, the disabled ones too; the first use makes one. Raises Unavailable."""
        return await asyncio.to_thread(self._public_keys)

    async def sign(self, message: bytes) -> tuple[bytes, bytes]:
        """Signs with the newest enabled version. Raises Unavailable."""
        return await asyncio.to_thread(self._sign, message)

    def _public_keys(self) -> Sequence[bytes]:
        with _faults():
            self._ensure()
            with self._keyring.reading() as keyring:
                versions = [
                    each.number for each in keyring.versions(OWNER.bytes) if each.state != "destroyed"
                ]
                return [keyring.verifying_key(OWNER.bytes, number)[1] for number in versions]

    def _sign(self, message: bytes) -> tuple[bytes, bytes]:
        with _faults():
            self._ensure()
            with self._keyring.reading() as keyring:
                version, signature = keyring.sign(OWNER.bytes, message)
                return keyring.verifying_key(OWNER.bytes, version)[1], signature

    def _ensure(self) -> None:
        with self._keyring.reading() as keyring:
            if keyring.versions(OWNER.bytes):
                return
        with self._keyring.changing() as keyring:
            if not keyring.versions(OWNER.bytes):
                keyring.create_kek(OWNER.bytes, time.time_ns() // 1000)


@contextmanager
def _faults() -> Iterator[None]:
    """What a keyring refuses is a key that cannot be had now."""
    try:
        yield
    except (CoreError, IntelGraphError, OSError) as error:
        raise Unavailable(
            "CHECKPOINT_KEY_UNAVAILABLE",
            "the key that signs the ledger's checkpoints cannot be used",
            fix="see whether the keyring is there and has an enabled version of that key",
            retry_after=RETRY_SECONDS,
        ) from error
