"""Witnesses: parties that sign the log's checkpoints once they have seen that it only grew (C2SP tlog-cosignature)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from intelgraph._core import CoreError, add_cosignature
from intelgraph.errors import InvalidArgument, NotFound
from intelgraph.provenance import log_rows

if TYPE_CHECKING:
    from intelgraph.storage.database import Database


class Witnesses:
    """Takes signatures of the witnesses in the settings, and of nobody else."""

    def __init__(self, database: "Database", verifier_keys: Sequence[str]) -> None:
        self._database = database
        self._verifier_keys = {key.split("+", 1)[0]: key for key in verifier_keys}

    async def take(self, size: int, line: str) -> bytes:
        """Keeps a witness's signature of the checkpoint of that size; gives the checkpoint with all of them.

        Raises NotFound LEDGER_CHECKPOINT_NOT_FOUND, InvalidArgument COSIGNATURE_UNKNOWN or COSIGNATURE_INVALID.
        """
        line = line.rstrip("\n") + "\n"
        async with self._database.write() as connection:
            origin = (await log_rows.head(connection)).origin
            note = await log_rows.checkpoint_of(connection, origin, size)
            if note is None:
                raise NotFound(
                    "LEDGER_CHECKPOINT_NOT_FOUND",
                    f"the log has no checkpoint of {size} entries",
                    fix="cosign a checkpoint that the log has published",
                )
            witness = self._witness(line)
            try:
                add_cosignature(note, line, self._verifier_keys[witness])
            except CoreError as error:
                raise InvalidArgument(
                    "COSIGNATURE_INVALID",
                    f"the signature is not {witness}'s of that checkpoint: {error.args[0]}",
                    fix="send the signature line that the witness gave for exactly this checkpoint",
                ) from None
            await log_rows.store_cosignature(connection, origin, size, witness, line)
            others = await log_rows.cosignatures(connection, origin, size)
        return note + b"".join(each.encode() for _, each in others)

    def _witness(self, line: str) -> str:
        parts = line.split(" ")
        if len(parts) != 3 or parts[1] not in self._verifier_keys:
            raise InvalidArgument(
                "COSIGNATURE_UNKNOWN",
                "the line is not a signature of a witness that this log knows",
                fix="add the witness's verifier key to the setting ledger.witnesses",
            )
        return parts[1]
