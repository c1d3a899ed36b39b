"""Proofs over the published log: that an entry is in it, and that it only grew."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intelgraph._core import (
    CoreError,
    CorruptData,
    bundle_entries,
    consistency_file,
    consistency_proof,
    inclusion_file,
    inclusion_proof,
    leaf_hash,
)
from intelgraph.errors import DataLoss, OutOfRange, Unavailable
from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance import log_rows
from intelgraph.provenance.bundles import BUNDLE_ENTRIES, bundle_path
from intelgraph.provenance.checkpoints import Checkpoint

if TYPE_CHECKING:
    from intelgraph.provenance.checkpoints import CheckpointSigner
    from intelgraph.provenance.log_directory import LogDirectory
    from intelgraph.storage.database import Database


@dataclass(frozen=True, slots=True)
class Proof:
    """Hashes of 32 bytes, for a tree of `size`."""

    hashes: Sequence[bytes]
    size: int
    leaf_hash: bytes
    """Of the entry; empty for a proof of consistency."""
    file: bytes
    """Proof and checkpoint as `intelgraph-verify` takes them; empty where no checkpoint is of that size."""


class Prover:
    """Proves from the tiles of the log directory, which any mirror of it could do as well."""

    def __init__(self, database: "Database", directory: "LogDirectory", signer: "CheckpointSigner") -> None:
        self._database = database
        self._directory = directory
        self._signer = signer
        self._opened: Checkpoint | None = None
        """The last one that was read: whoever asks while the same note lies there has its signature checked already."""

    async def checkpoint(self) -> Checkpoint:
        """The last one that was published. Raises Unavailable LEDGER_NO_CHECKPOINT before the first."""
        note = await asyncio.to_thread(self._directory.checkpoint)
        if self._opened is not None and self._opened.note == note:
            return self._opened
        async with self._database.read(PLATFORM.tenant_id) as connection:
            origin = (await log_rows.head(connection)).origin
        checkpoint = await self._signer.opened(note, origin, str(self._directory.root))
        if checkpoint is None:
            raise Unavailable(
                "LEDGER_NO_CHECKPOINT",
                "the log has no signed checkpoint yet, or not one of this log",
                fix="try again in a second; if it lasts, see the gateway's log for `ledger not sequenced`",
                retry_after=1.0,
            )
        self._opened = checkpoint
        return checkpoint

    async def verifier_keys(self) -> Sequence[str]:
        """What verifies the log's checkpoints, the newest last."""
        async with self._database.read(PLATFORM.tenant_id) as connection:
            origin = (await log_rows.head(connection)).origin
        return await self._signer.verifier_keys(origin)

    async def inclusion(self, index: int, size: int | None) -> Proof:
        """That entry `index` is in the log of that size, by default the checkpoint's.

        Raises OutOfRange LEDGER_BEYOND_CHECKPOINT, DataLoss LEDGER_TILES_DAMAGED, and as `checkpoint`.
        """
        checkpoint = await self.checkpoint()
        size = _within(checkpoint, size)
        if not 0 <= index < size:
            raise _beyond(index + 1, size)
        hashes, leaf = await asyncio.to_thread(self._inclusion, index, size)
        file = inclusion_file(index, hashes, checkpoint.note) if size == checkpoint.size else b""
        return Proof(hashes, size, leaf, file)

    async def consistency(self, from_size: int, to_size: int | None) -> Proof:
        """That the log of one size begins with that of another, not larger one. Raises as `inclusion`."""
        checkpoint = await self.checkpoint()
        to_size = _within(checkpoint, to_size)
        if not 0 < from_size <= to_size:
            raise _beyond(from_size, to_size)
        hashes = await asyncio.to_thread(self._consistency, from_size, to_size)
        file = consistency_file(from_size, hashes, checkpoint.note) if to_size == checkpoint.size else b""
        return Proof(hashes, to_size, b"", file)

    def _inclusion(self, index: int, size: int) -> tuple[Sequence[bytes], bytes]:
        try:
            hashes = inclusion_proof(index, size, self._directory.read)
            first = index - index % BUNDLE_ENTRIES
            bundle = self._directory.read(bundle_path(first, size))
            if bundle is None:
                bundle = self._directory.read(bundle_path(first)) or b""
            return hashes, leaf_hash(bundle_entries(bundle)[index - first])
        except (CoreError, IndexError) as error:
            raise _damaged(error) from None

    def _consistency(self, from_size: int, to_size: int) -> Sequence[bytes]:
        try:
            return consistency_proof(from_size, to_size, self._directory.read)
        except CorruptData as error:
            raise _damaged(error) from None


def _within(checkpoint: Checkpoint, size: int | None) -> int:
    if size is None:
        return checkpoint.size
    if size > checkpoint.size:
        raise _beyond(size, checkpoint.size)
    return size


def _beyond(size: int, most: int) -> OutOfRange:
    return OutOfRange(
        "LEDGER_BEYOND_CHECKPOINT",
        f"a tree of {size} entries is asked for, and there are {most}",
        fix="ask for less, or wait for the next checkpoint, which takes about a second",
        metadata={"size": str(most)},
    )


def _damaged(error: Exception) -> DataLoss:
    why = error.args[0] if isinstance(error, CoreError) else "a bundle is too short"
    return DataLoss(
        "LEDGER_TILES_DAMAGED",
        f"the log directory does not hold what its checkpoint says: {why}",
        fix="`intelgraph ledger verify` names the files; take the directory away, and the gateway writes it again"
        " from the database when it starts",
    )
