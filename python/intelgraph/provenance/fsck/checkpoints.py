"""The signed checkpoints: each that can be found has to be the log's own, and every signature of a witness its."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from intelgraph._core import CoreError, add_cosignature
from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance.fsck.said import said
from intelgraph.provenance.kinds.ledger import ForkAcknowledged
from intelgraph.provenance.log_directory import CHECKPOINT
from intelgraph.provenance.origins import precedes

if TYPE_CHECKING:
    import asyncpg

    from intelgraph.provenance.checkpoints import Checkpoint
    from intelgraph.provenance.fsck.parts import LedgerParts
    from intelgraph.provenance.fsck.verdict import LedgerVerdict
    from intelgraph.provenance.log_rows import LogHead


async def check_checkpoints(
    parts: "LedgerParts", head: "LogHead", verdict: "LedgerVerdict"
) -> Sequence["Checkpoint"]:
    """All that can be found and are the log's own, by size."""
    async with parts.database.read(PLATFORM.tenant_id) as connection:
        rows = await connection.fetch(_CHECKPOINTS)
    known = {head.origin} | {
        str(each.facts["origin_before"]) for each in await said(parts, head.size, ForkAcknowledged)
    }
    for row in rows:
        # What acknowledged a fork may itself have been recovered from tiles, without what it said.
        if row["origin"] not in known and not precedes(row["origin"], head.origin):
            verdict.find(
                "CHECKPOINT_FORGED", f"a checkpoint in the database is of another log, {row['origin']}"
            )
    kept = {row["size"]: row for row in rows if row["origin"] == head.origin}
    notes: list[tuple[str, bytes]] = [
        (f"the database, of {size} entries", row["note"]) for size, row in kept.items()
    ]
    for directory in (parts.directory, *parts.copies):
        note = await asyncio.to_thread(directory.checkpoint)
        if note is None:
            file = str(directory.root / CHECKPOINT)
            if head.size:
                verdict.find("CHECKPOINT_MISSING", "there is no checkpoint", file=file)
            continue
        notes.append((str(directory.root), note))
    found = []
    for place, note in notes:
        checkpoint = await parts.signer.opened(note, head.origin, place)
        if checkpoint is None:
            verdict.find("CHECKPOINT_FORGED", f"the checkpoint in {place} is not signed by this log's key")
        elif checkpoint.size > head.size:
            verdict.find(
                "LOG_CUT_SHORT",
                f"the checkpoint in {place} covers {checkpoint.size} entries, and there are {head.size}",
                index=head.size,
            )
        else:
            found.append(checkpoint)
            _compare_row(checkpoint, kept.get(checkpoint.size), place, verdict)
    verdict.checkpoints = len(found)
    await _cosignatures(parts, head, {each.size: each for each in found}, verdict)
    return sorted(found, key=lambda each: each.size)


def _compare_row(
    checkpoint: "Checkpoint", row: "asyncpg.Record | None", place: str, verdict: "LedgerVerdict"
) -> None:
    """What the database keeps of a checkpoint beside its note, and that it keeps it at all."""
    if row is None or row["root"] != checkpoint.root:
        verdict.find(
            "CHECKPOINT_ROW_DIFFERS",
            f"the database does not keep the checkpoint of {checkpoint.size} entries as it is in {place}",
            index=max(checkpoint.size - 1, 0),
        )


async def _cosignatures(
    parts: "LedgerParts", head: "LogHead", signed: Mapping[int, "Checkpoint"], verdict: "LedgerVerdict"
) -> None:
    """Signatures of witnesses have to be theirs, of a checkpoint that was signed."""
    async with parts.database.read(PLATFORM.tenant_id) as connection:
        rows = await connection.fetch(_COSIGNATURES, head.origin)
    keys = {key.split("+", 1)[0]: key for key in parts.witnesses}
    for row in rows:
        checkpoint, key = signed.get(row["size"]), keys.get(row["witness"])
        try:
            if checkpoint is None or key is None:
                raise CoreError
            add_cosignature(checkpoint.note, row["line"], key)
        except CoreError:
            verdict.find(
                "COSIGNATURE_FORGED",
                f"what is kept as the signature of {row['witness']!r} of the checkpoint of {row['size']} entries"
                " is not that, or its key is not in the setting ledger.witnesses",
            )


_CHECKPOINTS: Final = "SELECT origin, size, root, note FROM ledger_checkpoint ORDER BY origin, size"

_COSIGNATURES: Final = (
    "SELECT size, witness, line FROM ledger_cosignature WHERE origin = $1 ORDER BY size, witness"
)
