"""`retention.run`: removes what was recorded before its dataset's retention ends, in batches; or says what would go.

    list        which datasets, until when, and which are held
    count       what is due, and what is held, a range of the log at a time
    remove      some entities' due changes; kept versions that lean on them get a snapshot first
    quarantine  the oldest entries, with their records
    merge       ranges of removed changes that have come to follow each other

A batch is prepared without a lock: what is read there cannot change, but for the first kept version of an entity that
had none. Whether it has, is looked at under the tenant's clock row, which every commit of ingest takes too.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from intelgraph._core import Keystore, anchors, keys_of_chains
from intelgraph.contracts.intact import altered
from intelgraph.errors import Aborted, FailedPrecondition
from intelgraph.operations.kind import Kind, Progress, Step, Work
from intelgraph.provenance.anchors import recorded_by
from intelgraph.provenance.kinds.operations import RetentionRun as RetentionRunEntry
from intelgraph.provenance.ledger import Act
from intelgraph.retention.progress import DatasetRun, RetentionInput, RetentionMemory, to_us
from intelgraph.storage import change_log, retention

if TYPE_CHECKING:
    from intelgraph.keys.service import KeyService
    from intelgraph.keys.unsealing import Unsealer
    from intelgraph.provenance.entries import EntryReader
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database

BATCH_CHANGES: Final = 500
"""Changes that one transaction removes: some tens of milliseconds, for which ingest of the tenant waits."""
SCAN_CHANGES: Final = 10_000
COUNT_CHANGES: Final = 200_000
BATCH_RANGES: Final = 5_000

_Work = Work[RetentionInput, RetentionMemory]
_Step = Step[RetentionMemory]


class RetentionRun(Kind[RetentionInput, RetentionMemory]):
    """See the module's docstring."""

    NAME: ClassVar[str] = "retention.run"
    INPUT: ClassVar[type[Any]] = RetentionInput
    MEMORY: ClassVar[type[Any]] = RetentionMemory
    STEPS: ClassVar[tuple[str, ...]] = ("list", "count", "remove", "quarantine", "merge")
    EXCLUSIVE: ClassVar[bool] = True

    def __init__(
        self,
        database: "Database",
        keystore: Keystore,
        keys: "KeyService",
        unsealer: "Unsealer",
        entries: "EntryReader",
        *,
        batch_changes: int = BATCH_CHANGES,
    ) -> None:
        self._database = database
        self._keystore = keystore
        self._keys = keys
        self._unsealer = unsealer
        self._entries = entries
        self._batch_changes = batch_changes

    def begin(self, given: RetentionInput) -> RetentionMemory:
        """The run finds out which datasets there are first."""
        return RetentionMemory()

    async def next(self, work: _Work) -> _Step | None:
        """See `Kind`."""
        memory = work.memory
        match memory.phase:
            case "list":
                return Step("list", lambda connection: self._list(connection, work))
            case "count":
                await self._hold_against_anchors(work)
                return Step("count", lambda connection: self._count(connection, work))
            case "remove":
                return await self._removal(work)
            case "quarantine":
                return Step("quarantine", lambda connection: self._remove_quarantined(connection, work))
            case "merge":
                return Step("merge", lambda connection: self._merge(connection, work))
            case "end":
                return None

    def undone(self, memory: RetentionMemory) -> str:
        """Nothing comes back."""
        changes, records = _removed(memory)
        if not changes and not records:
            return "nothing had been removed"
        return (
            f"nothing: {changes:,} changes and {records:,} records in quarantine are gone for good;"
            " what is left can be read as before"
        )

    def progress(self, memory: RetentionMemory) -> Progress:
        """In changes and records of quarantine."""
        if memory.phase in {"list", "count"}:
            return Progress(memory.counted, None)
        total = sum(each.due + each.quarantine_due for each in memory.datasets)
        return Progress(sum(_removed(memory)), total)

    def result(self, memory: RetentionMemory) -> Mapping[str, Any]:
        """Counts for each dataset."""
        return {"datasets": [each.as_result() for each in memory.datasets]}

    def entries(self, work: _Work, state: str) -> list[Act]:
        """One for each dataset of which something went, or was held."""
        if work.input.dry_run:
            return []
        complete = state == "done"
        return [_act(work, each, complete) for each in work.memory.datasets if _has_news(each)]

    # -- what is due ------------------------------------------------------------------------------------------

    async def _list(self, connection: "Connection", work: _Work) -> RetentionMemory:
        tenant_id = work.tenant.tenant_id
        last = (await change_log.lock_clock(connection, tenant_id)).seq
        datasets = []
        for each in await retention.classes(connection, tenant_id, work.input.datasets):
            if not each.intact:
                raise altered(each.name, each.version)
            first_after = await retention.gone_through(connection, tenant_id, each.dataset_id)
            until = last if each.cut is None else await retention.last_before(connection, tenant_id, each.cut)
            cut_us = None if each.cut is None else to_us(each.cut)
            datasets.append(
                DatasetRun(each.dataset_id, each.name, each.retention, cut_us, first_after, until)
            )
        return _first_of("count", RetentionMemory(datasets=tuple(datasets)))

    async def _hold_against_anchors(self, work: _Work) -> None:
        """When a dataset is begun: the last anchor among what is to go was of before the cut. Times of recording are in
        no leaf, so that whoever shifts them would have data removed as if it were due.
        """
        memory, current = work.memory, work.memory.current
        if current.cut_us is None or memory.after != current.first_after:
            return
        recorded_us = await recorded_by(self._entries, work.tenant.tenant_id, current.until)
        if recorded_us is not None and recorded_us >= current.cut_us:
            raise FailedPrecondition(
                "RETENTION_ANCHOR_DIFFERS",
                f"changes up to {current.until} say that they were recorded before the cut, and the ledger says that"
                " some of them were recorded after it",
                fix="nothing was removed; `intelgraph log verify` names what was altered, restore that first",
                metadata={"dataset": current.dataset, "seq": str(current.until)},
            )

    async def _count(self, connection: "Connection", work: _Work) -> RetentionMemory:
        memory, current, tenant_id = work.memory, work.memory.current, work.tenant.tenant_id
        until = min(memory.after + COUNT_CHANGES, current.until)
        found = await retention.count(connection, tenant_id, current.dataset_id, memory.after, until)
        is_last = until >= current.until
        current = replace(
            current,
            due=current.due + (0 if current.is_held else found.count),
            held=current.held + (found.count if current.is_held else 0),
            oldest_us=current.oldest_us if current.oldest_us is not None else found.oldest_us,
            newest_us=found.newest_us if found.newest_us is not None else current.newest_us,
        )
        if is_last:
            waiting = await retention.count_quarantined(
                connection, tenant_id, current.dataset_id, current.cut
            )
            current = (
                replace(current, quarantine_held=waiting.count)
                if current.is_held
                else replace(current, quarantine_due=waiting.count)
            )
        memory = _with(replace(memory, after=until, counted=memory.counted + found.count), current)
        if not is_last:
            return memory
        return _next_dataset(memory, "end" if work.input.dry_run else "remove")

    # -- changes ----------------------------------------------------------------------------------------------

    async def _removal(self, work: _Work) -> _Step:
        memory, current, tenant_id = work.memory, work.memory.current, work.tenant.tenant_id
        async with self._database.read(tenant_id) as connection:
            batch = await retention.next_batch(
                connection,
                tenant_id,
                current.dataset_id,
                memory.after,
                current.until,
                scan=SCAN_CHANGES,
                most=self._batch_changes,
            )
            chains, digest = b"", b""
            if batch.entities:
                digest = await retention.without_base(connection, tenant_id, current.dataset_id, batch)
                chains = await retention.chains(connection, tenant_id, current.dataset_id, batch)
        sealed = await self._anchors(work, chains, len(batch.entities) // retention.ENTITY_ID_BYTES)

        async def apply(connection: "Connection") -> RetentionMemory:
            return await self._remove(connection, work, batch, digest, sealed)

        return Step("remove", apply)

    async def _anchors(self, work: _Work, chains: bytes, most: int) -> bytes:
        """The sealed snapshots of what loses its base."""
        if not chains:
            return b""
        await self._keys.ensure_seal_slot(work.tenant, most)
        tenant_id, dataset = work.tenant.tenant_id.bytes, work.memory.current.dataset
        return await self._unsealer.run(
            work.tenant,
            keys_of_chains(chains),
            lambda: anchors(self._keystore, tenant_id, dataset, chains),
        )

    async def _remove(
        self, connection: "Connection", work: _Work, batch: retention.Batch, digest: bytes, sealed: bytes
    ) -> RetentionMemory:
        memory, current, tenant_id = work.memory, work.memory.current, work.tenant.tenant_id
        await change_log.lock_clock(connection, tenant_id)
        # The database would remove nothing then, and what it passed over would be marked as gone.
        if current.cut is None or await retention.keeps(
            connection, tenant_id, current.dataset_id, current.cut
        ):
            return _next_dataset(_with(memory, replace(current, stopped=True)), "quarantine")
        if batch.entities:
            now = await retention.without_base(connection, tenant_id, current.dataset_id, batch)
            if now != digest:
                raise _moved()
            gone = await retention.remove(connection, tenant_id, current.dataset_id, batch, sealed)
            current = replace(
                current, removed=current.removed + gone.removed, anchored=current.anchored + gone.anchored
            )
        await retention.mark_through(connection, tenant_id, current.dataset_id, batch.through)
        memory = _with(replace(memory, after=batch.through), current)
        return memory if batch.through < current.until else _next_dataset(memory, "quarantine")

    # -- quarantine, and the tree -----------------------------------------------------------------------------

    async def _remove_quarantined(self, connection: "Connection", work: _Work) -> RetentionMemory:
        memory, current, tenant_id = work.memory, work.memory.current, work.tenant.tenant_id
        await change_log.lock_clock(connection, tenant_id)
        cut = current.cut
        if cut is None or await retention.keeps(connection, tenant_id, current.dataset_id, cut):
            return _next_dataset(_with(memory, replace(current, stopped=True)), "merge")
        entries, records = await retention.remove_quarantined(
            connection, tenant_id, current.dataset_id, cut, self._batch_changes
        )
        memory = _with(
            memory,
            replace(
                current,
                quarantine_entries=current.quarantine_entries + entries,
                quarantine_records=current.quarantine_records + records,
            ),
        )
        return memory if entries else _next_dataset(memory, "merge")

    async def _merge(self, connection: "Connection", work: _Work) -> RetentionMemory:
        tenant_id = work.tenant.tenant_id
        await change_log.lock_clock(connection, tenant_id)
        after = await retention.merge(connection, tenant_id, work.memory.after, BATCH_RANGES)
        if after is None:
            return replace(work.memory, phase="end")
        return replace(work.memory, after=after)


def _first_of(phase: "str", memory: RetentionMemory) -> RetentionMemory:
    """The beginning of a phase: at the first dataset that has something to do in it."""
    match phase:
        case "count":
            return _at(replace(memory, phase="count"), 0, "end")
        case "remove":
            return _at(replace(memory, phase="remove"), 0, "quarantine")
        case "quarantine":
            return _at(replace(memory, phase="quarantine"), 0, "merge")
        case "merge":
            return replace(memory, phase="merge", at=0, after=0)
        case _:
            return replace(memory, phase="end", at=0, after=0)


def _next_dataset(memory: RetentionMemory, following: str) -> RetentionMemory:
    return _at(memory, memory.at + 1, following)


def _at(memory: RetentionMemory, index: int, following: str) -> RetentionMemory:
    """The phase at the next dataset that has something to do in it, or else the phase that follows."""
    for at in range(index, len(memory.datasets)):
        each = memory.datasets[at]
        if memory.phase == "count":
            # What is held is counted from the beginning: nothing of it is gone for certain.
            return replace(memory, at=at, after=0 if each.is_held else each.first_after)
        due = each.due if memory.phase == "remove" else each.quarantine_due
        if due and not each.is_held:
            return replace(memory, at=at, after=each.first_after)
    return _first_of(following, memory)


def _with(memory: RetentionMemory, current: DatasetRun) -> RetentionMemory:
    before, after = memory.datasets[: memory.at], memory.datasets[memory.at + 1 :]
    return replace(memory, datasets=(*before, current, *after))


def _removed(memory: RetentionMemory) -> tuple[int, int]:
    changes = sum(each.removed for each in memory.datasets)
    return changes, sum(each.quarantine_records for each in memory.datasets)


def _has_news(each: DatasetRun) -> bool:
    return any((each.due, each.held, each.quarantine_due, each.quarantine_held, each.removed))


def _act(work: _Work, each: DatasetRun, complete: bool) -> Act:
    facts = RetentionRunEntry(
        operation_id=str(work.operation_id),
        dataset=each.dataset,
        retention=each.retention,
        cut_us=each.cut_us,
        removed=each.removed,
        anchored=each.anchored,
        quarantine_entries=each.quarantine_entries,
        quarantine_records=each.quarantine_records,
        held=each.held + each.quarantine_held,
        complete=complete and not each.is_held,
    )
    return Act(facts, f"dataset:{each.dataset}", work.by, work.tenant)


def _moved() -> Aborted:
    """Taken for a passing conflict of storage: the step is prepared again."""
    return Aborted(
        "STORAGE_CONFLICT",
        "an entity of the batch changed while it was prepared",
        fix="try again",
        retry_after=0.0,
    )
