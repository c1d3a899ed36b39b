"""Signed checkpoints: who signs them, and what one that is found says."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from intelgraph._core import CoreError, checkpoint_text, open_checkpoint, signed_note, vkey
from intelgraph.provenance.origins import base_of, claimed_origin, generation_of

_log = logging.getLogger(__name__)


class CheckpointKey(Protocol):
    """The operator's Ed25519 key: in the keyring, or in the platform's KMS."""

    async def public_keys(self) -> Sequence[bytes]:
        """All that have signed or will, 32 bytes each; the newest, which signs, last."""

    async def sign(self, message: bytes) -> tuple[bytes, bytes]:
        """Signs with the newest key: its public half, and the signature. Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the log was, on its key's word."""

    origin: str
    size: int
    root: bytes
    note: bytes
    """C2SP signed-note."""


class CheckpointSigner:
    """Signs for one log, and knows its own signature again."""

    def __init__(self, key: CheckpointKey) -> None:
        self._key = key

    async def sign(self, origin: str, size: int, root: bytes) -> Checkpoint:
        """The signed checkpoint of a tree."""
        text = checkpoint_text(origin, size, root)
        public_key, signature = await self._key.sign(text)
        return Checkpoint(origin, size, root, signed_note(text, origin, public_key, signature))

    async def verifier_keys(self, origin: str) -> Sequence[str]:
        """What verifies the log's checkpoints (C2SP signed-note); the newest last."""
        return [vkey(origin, public_key) for public_key in await self._key.public_keys()]

    async def opened(self, note: bytes | None, origin: str, found_in: str) -> Checkpoint | None:
        """The checkpoint of this log that a note is. None, and a line in the log, for one that is forged, cut short or
        another log's: that is no word of ours, and proves nothing.
        """
        checkpoint = await self.of_line(note, origin, found_in)
        if checkpoint is not None and checkpoint.origin != origin:
            _log.error("checkpoint of another log", extra={"found_in": found_in, "origin": checkpoint.origin})
            return None
        return checkpoint

    async def of_line(self, note: bytes | None, origin: str, found_in: str) -> Checkpoint | None:
        """The same, also for a log that this one followed, or that followed it (`origins`)."""
        if note is None:
            return None
        claimed = claimed_origin(note)
        if claimed is None or base_of(claimed) != base_of(origin) or not generation_of(claimed):
            claimed = origin
        try:
            named, size, root, _ = open_checkpoint(note, await self.verifier_keys(claimed))
        except CoreError as error:
            _log.error("checkpoint not ours", extra={"found_in": found_in, "why": error.args[1]})
            return None
        return Checkpoint(named, size, root, note)
