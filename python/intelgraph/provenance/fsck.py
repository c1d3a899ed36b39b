"""Checks the whole ledger: everything that is stored of it against everything that was signed of it.

Every leaf is computed anew from the entry's commitments, and from the leaves every tile and root; every entry that is
not erased is opened and compared with its commitments and with the columns it is found by; every checkpoint that was
kept has to be signed by the log's key and to be a prefix; every file of the directory has to be one of the log's, byte
for byte. What is found is named by the index of the entry, or by the file.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from intelgraph._core import (
    CoreError,
    Keystore,
    TileWriter,
    add_cosignature,
    check_ledger_entries,
    keys_of_ledger_entries,
)
from intelgraph.errors import DataLoss
from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance import log_rows
from intelgraph.provenance.bundles import COMMITMENTS_BYTES
from intelgraph.provenance.entries import EntryFilter, EntryReader
from intelgraph.provenance.kinds import KINDS
from intelgraph.provenance.kinds.ledger import EntryErased, ForkAcknowledged, LedgerRecovered
from intelgraph.provenance.log_directory import CHECKPOINT
from intelgraph.provenance.origins import precedes
from intelgraph.storage.copy_format import copy_row, copy_rows

if TYPE_CHECKING:
    import asyncpg

    from intelgraph.keys.unsealing import Unsealer
    from intelgraph.provenance.checkpoints import Checkpoint, CheckpointSigner
    from intelgraph.provenance.log_directory import LogDirectory
    from intelgraph.provenance.log_rows import LogHead
    from intelgraph.storage.database import Database

PAGE_ENTRIES: Final = 4096
MOST_FINDINGS: Final = 1000

_KIND_NAMES: Final = {number: kind.KIND for number, kind in KINDS.items()}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written: `index` of the entry, or `file`, or neither where it is the whole."""

    reason: str
    message: str
    index: int | None = None
    file: str | None = None


@dataclass(slots=True)
class LedgerVerdict:
    """What a check found."""

    origin: str
    size: int
    root: bytes
    """Computed from the entries."""
    checkpoints: int = 0
    """That were checked."""
    files: int = 0
    findings: list[Finding] = field(default_factory=list)
    """At most a thousand."""
    omitted: int = 0

    def find(self, reason: str, message: str, *, index: int | None = None, file: str | None = None) -> None:
        """Adds a finding."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(reason, message, index, file))
        else:
            self.omitted += 1


@dataclass(frozen=True, slots=True)
class LedgerParts:
    """What a check reads."""

    database: "Database"
    unsealer: "Unsealer"
    keystore: Keystore
    directory: "LogDirectory"
    copies: Sequence["LogDirectory"]
    witnesses: Sequence[str]
    """Verifier keys."""
    signer: "CheckpointSigner"


class LedgerCheck:
    """One check, from the first entry to the end that the log had when it began."""

    def __init__(self, parts: LedgerParts) -> None:
        self._parts = parts
        self._edge = TileWriter.empty()
        self._expected: dict[str, int] = {}
        """Files that the log has, and their lengths."""

    async def run(self, progress: Callable[[int, int], None] = lambda done, last: None) -> LedgerVerdict:
        """Checks everything. `progress` is told how many entries were checked, and how many there are.

        Raises as `KeyService.authorise`, and what the database and the directory raise: what is wrong with the ledger
        itself is a finding.
        """
        async with self._parts.database.read(PLATFORM.tenant_id) as connection:
            head = await log_rows.head(connection)
            beyond = await connection.fetchval(
                "SELECT count(*) FROM ledger_entry WHERE index >= $1", head.size
            )
        verdict = LedgerVerdict(head.origin, head.size, head.root)
        checkpoints = await self._checkpoints(head, verdict)
        if await self._entries(head, verdict, checkpoints, progress):
            verdict.root = self._edge.root
            if self._edge.root != head.root:
                verdict.find("ROOT_DIFFERS", "together the entries are not what the log's head says")
            await self._files(verdict)
        if beyond and not await self._has_grown(head):
            verdict.find("ENTRY_BEYOND_HEAD", f"{beyond} entries are beyond the log's head", index=head.size)
        if head.fork_index is not None:
            verdict.find(
                "FORKED",
                "the log here is not the one that was signed, and nothing is appended",
                index=head.fork_index,
            )
        await self._emptied(head, verdict)
        await self._outbox(verdict)
        return verdict

    # -- entries ---------------------------------------------------------------------------------------

    async def _entries(
        self,
        head: "LogHead",
        verdict: LedgerVerdict,
        checkpoints: Sequence["Checkpoint"],
        progress: Callable[[int, int], None],
    ) -> bool:
        """Whether there is an entry for every index, so that there is a tree."""
        pending = list(checkpoints)
        async for first, rows, commitments in self._pages(head.size):
            await self._opened(rows, verdict)
            await self._times(max(first - 1, 0), first + PAGE_ENTRIES, verdict)
            count = len(commitments) // COMMITMENTS_BYTES
            end = min(first + PAGE_ENTRIES, head.size)
            if count != end - first:
                await self._missing(first, end, verdict)
                return False
            done = 0
            while done < count:
                step = min(count, pending[0].size - first if pending else count)
                await self._grow(
                    commitments[done * COMMITMENTS_BYTES : step * COMMITMENTS_BYTES], verdict, first + done
                )
                done = step
                while pending and pending[0].size == first + done:
                    self._compare(pending.pop(0), verdict)
            progress(end, head.size)
        return self._edge.size == head.size

    async def _pages(self, size: int) -> AsyncIterator[tuple[int, bytes, bytes]]:
        """Pages of entries: the first index, rows as `check_ledger_entries` takes them, commitments one by one."""
        for first in range(0, size, PAGE_ENTRIES):
            end = min(first + PAGE_ENTRIES, size)
            async with self._parts.database.read(PLATFORM.tenant_id) as connection:
                row = await connection.fetchrow(_PAGE, first, end)
            yield first, (row and row["rows"]) or b"", (row and row["commitments"]) or b""

    async def _opened(self, rows: bytes, verdict: LedgerVerdict) -> None:
        owner = PLATFORM.tenant_id.bytes
        for index, message in await self._parts.unsealer.run(
            PLATFORM,
            keys_of_ledger_entries(rows),
            lambda: check_ledger_entries(self._parts.keystore, owner, rows, _KIND_NAMES),
        ):
            verdict.find("ENTRY_ALTERED", message, index=index)

    async def _times(self, first: int, end: int, verdict: LedgerVerdict) -> None:
        async with self._parts.database.read(PLATFORM.tenant_id) as connection:
            rows = await connection.fetch(_NOT_LATER, first, end)
        for row in rows:
            verdict.find(
                "SEQUENCED_EARLIER", "it was sequenced before the entry before it", index=row["index"]
            )

    async def _grow(self, commitments: bytes, verdict: LedgerVerdict, first: int) -> None:
        """Adds entries to the tree, and compares the files that they make with those that are there."""
        for path, content in await asyncio.to_thread(self._edge.append_commitments, commitments):
            self._expected[path] = len(content)
            stored = await asyncio.to_thread(self._parts.directory.read, path)
            if stored == content:
                continue
            if stored is None:
                # Only the partial tiles of signed sizes are ever written, and of those the full one takes the place.
                if ".p/" not in path:
                    verdict.find("FILE_MISSING", "the file is not there", index=first, file=path)
                continue
            verdict.find("FILE_DIFFERS", _difference(path, content, stored), file=path, index=first)

    async def _missing(self, first: int, end: int, verdict: LedgerVerdict) -> None:
        async with self._parts.database.read(PLATFORM.tenant_id) as connection:
            rows = await connection.fetch(_MISSING, first, end, 100)
        for row in rows:
            verdict.find("ENTRY_MISSING", "there is no such entry in the database", index=row["index"])

    async def _emptied(self, head: "LogHead", verdict: LedgerVerdict) -> None:
        """Entries of which only the commitments are left, and nothing says why."""
        recovered = [(said["first_index"], said["size"]) for said in await self._said(LedgerRecovered.NUMBER)]
        erased = {said["index"]: said for said in await self._said(EntryErased.NUMBER)}
        async with self._parts.database.read(PLATFORM.tenant_id) as connection:
            rows = await connection.fetch(_EMPTY, head.size)
        for row in rows:
            index = row["index"]
            if index in erased:
                if _columns(row) != _erased_columns(erased[index]):
                    verdict.find(
                        "ENTRY_ALTERED",
                        "its columns are not what was said of it when it was erased",
                        index=index,
                    )
            elif not any(first <= index < size for first, size in recovered):
                verdict.find(
                    "ENTRY_EMPTIED",
                    "header and payload are gone, and no entry says who erased them",
                    index=index,
                )

    async def _said(self, kind: int) -> Sequence[dict[str, Any]]:
        """The payloads of all entries of a kind that can be read; those that cannot are findings elsewhere."""
        reader = EntryReader(self._parts.database, self._parts.unsealer, self._parts.keystore)
        said: list[dict[str, Any]] = []
        before: int | None = None
        while True:
            try:
                entries, before = await reader.page(
                    PLATFORM.tenant_id, EntryFilter(kinds=(kind,)), before, 500
                )
            except DataLoss:
                return said
            # By the header, which is committed to: the column may be what was altered.
            meant = [entry for entry in entries if entry.said.get("kind") == _KIND_NAMES[kind]]
            said += [json.loads(entry.payload) for entry in meant]
            if before is None:
                return said

    async def _outbox(self, verdict: LedgerVerdict) -> None:
        """Finds what waits for its index and does not get it."""
        for _ in range(20):
            async with self._parts.database.read(PLATFORM.tenant_id) as connection:
                waiting = await log_rows.waiting(connection)
            if not waiting:
                return
            await asyncio.sleep(0.25)
        verdict.find("OUTBOX_WAITING", f"{waiting} entries wait for an index; does a gateway run?")

    async def _has_grown(self, head: "LogHead") -> bool:
        async with self._parts.database.read(PLATFORM.tenant_id) as connection:
            return (await log_rows.head(connection)).size > head.size

    # -- checkpoints -----------------------------------------------------------------------------------

    async def _checkpoints(self, head: "LogHead", verdict: LedgerVerdict) -> Sequence["Checkpoint"]:
        """All that can be found and are the log's own, by size."""
        async with self._parts.database.read(PLATFORM.tenant_id) as connection:
            rows = await connection.fetch(_CHECKPOINTS)
        known = {head.origin} | {
            str(said["origin_before"]) for said in await self._said(ForkAcknowledged.NUMBER)
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
        for directory in (self._parts.directory, *self._parts.copies):
            note = await asyncio.to_thread(directory.checkpoint)
            if note is None:
                file = str(directory.root / CHECKPOINT)
                if head.size:
                    verdict.find("CHECKPOINT_MISSING", "there is no checkpoint", file=file)
                continue
            notes.append((str(directory.root), note))
        found = []
        for place, note in notes:
            checkpoint = await self._parts.signer.opened(note, head.origin, place)
            if checkpoint is None:
                verdict.find(
                    "CHECKPOINT_FORGED", f"the checkpoint in {place} is not signed by this log's key"
                )
            elif checkpoint.size > head.size:
                verdict.find(
                    "LOG_CUT_SHORT",
                    f"the checkpoint in {place} covers {checkpoint.size} entries, and there are {head.size}",
                    index=head.size,
                )
            else:
                found.append(checkpoint)
                self._compare_row(checkpoint, kept.get(checkpoint.size), place, verdict)
        verdict.checkpoints = len(found)
        await self._cosignatures(head, {each.size: each for each in found}, verdict)
        return sorted(found, key=lambda each: each.size)

    def _compare_row(
        self, checkpoint: "Checkpoint", row: "asyncpg.Record | None", place: str, verdict: LedgerVerdict
    ) -> None:
        """What the database keeps of a checkpoint beside its note, and that it keeps it at all."""
        if row is None or row["root"] != checkpoint.root:
            verdict.find(
                "CHECKPOINT_ROW_DIFFERS",
                f"the database does not keep the checkpoint of {checkpoint.size} entries as it is in {place}",
                index=max(checkpoint.size - 1, 0),
            )

    async def _cosignatures(
        self, head: "LogHead", signed: Mapping[int, "Checkpoint"], verdict: LedgerVerdict
    ) -> None:
        """Signatures of witnesses have to be theirs, of a checkpoint that was signed."""
        async with self._parts.database.read(PLATFORM.tenant_id) as connection:
            rows = await connection.fetch(_COSIGNATURES, head.origin)
        keys = {key.split("+", 1)[0]: key for key in self._parts.witnesses}
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

    def _compare(self, checkpoint: "Checkpoint", verdict: LedgerVerdict) -> None:
        if checkpoint.root != self._edge.root:
            verdict.find(
                "CHECKPOINT_DIFFERS",
                f"the first {checkpoint.size} entries are not those that its checkpoint was signed over",
                index=checkpoint.size - 1,
            )

    # -- files -----------------------------------------------------------------------------------------

    async def _files(self, verdict: LedgerVerdict) -> None:
        """Finds files that are not the log's, and partial tiles that do not begin their full one; and whether those at
        the end of the log are there.
        """
        for path in TileWriter.tiles_to_resume(self._edge.size):
            if await asyncio.to_thread(self._parts.directory.read, path) is None:
                verdict.find("FILE_MISSING", "the file is not there", file=path, index=self._edge.size - 1)
        for path in await asyncio.to_thread(_all_files, self._parts.directory.root):
            verdict.files += 1
            if path == CHECKPOINT or path in self._expected:
                continue
            fault = await asyncio.to_thread(self._partial_fault, path)
            if fault is not None:
                verdict.find("FILE_UNEXPECTED", fault, file=path)

    def _partial_fault(self, path: str) -> str | None:
        full, partial, width = path.partition(".p/")
        if not partial or not width.isdigit() or not 0 < int(width) < 256:
            return "it is no file of this log"
        wider = [full, *(f"{full}.p/{w}" for w in range(255, int(width), -1))]
        whole = next((each for each in wider if each in self._expected), None)
        if whole is None:
            return "it is beyond the end of the log"
        content, stored = self._parts.directory.read(whole), self._parts.directory.read(path)
        if content is None or stored is None or not content.startswith(stored):
            return f"it does not begin {whole}"
        return None


def _columns(row: "asyncpg.Record") -> tuple[str | None, ...]:
    kind, tenant_id = row["kind"], row["tenant_id"]
    about = None if tenant_id is None else str(tenant_id)
    return str(row["entry_id"]), _KIND_NAMES.get(kind), about


def _erased_columns(said: Mapping[str, Any]) -> tuple[str | None, ...]:
    return said["entry_id"], said["erased_kind"], said["about_tenant"]


def _all_files(root: Path) -> list[str]:
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and "forks" not in path.relative_to(root).parts
    )


def _difference(path: str, content: bytes, stored: bytes) -> str:
    at = next((at for at, pair in enumerate(zip(content, stored, strict=False)) if pair[0] != pair[1]), None)
    if at is None:
        return f"it has {len(stored)} bytes, and should have {len(content)}"
    return f"byte {at} of {path} is not what the entries make of it"


_ROW: Final = copy_row(
    ("index", "int8"),
    ("entry_id", "uuid?"),
    ("tenant_id", "uuid?"),
    ("kind", "int2?"),
    ("subject_tag", "int8?"),
    ("commitments", "bytea"),
    ("header", "bytea"),
    ("payload", "bytea"),
)

_PAGE: Final = f"""
SELECT {copy_rows(_ROW, "index")} AS rows, string_agg(commitments, ''::bytea ORDER BY index) AS commitments
FROM ledger_entry WHERE index >= $1 AND index < $2
"""  # noqa: S608 (composed of constants)

_MISSING: Final = """
SELECT wanted.index FROM generate_series($1::bigint, $2::bigint - 1) AS wanted (index)
WHERE NOT EXISTS (SELECT FROM ledger_entry AS entry WHERE entry.index = wanted.index)
ORDER BY wanted.index LIMIT $3
"""

_EMPTY: Final = """
SELECT index, entry_id, tenant_id, kind FROM ledger_entry
WHERE header IS NULL AND payload IS NULL AND index < $1 ORDER BY index
"""

_CHECKPOINTS: Final = "SELECT origin, size, root, note FROM ledger_checkpoint ORDER BY origin, size"

_COSIGNATURES: Final = (
    "SELECT size, witness, line FROM ledger_cosignature WHERE origin = $1 ORDER BY size, witness"
)

# Where the time is not that of the entry before or later: it bounds what a list shows.
_NOT_LATER: Final = """
SELECT index FROM (
  SELECT index, sequenced < lag(sequenced) OVER (ORDER BY index) AS earlier FROM ledger_entry
  WHERE index >= $1 AND index < $2
) AS entry WHERE earlier ORDER BY index LIMIT 100
"""
