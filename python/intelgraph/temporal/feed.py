"""The feed: every change of a tenant once, in order of `seq`, from any point on, and then as they come.

It is read from the log and from nowhere else, page by page, and a page is read when the last one was taken:
a slow reader holds nothing up and is not buffered for. Between pages no connection is held. What retention removed is
passed over; what is missing otherwise ends the feed.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from intelgraph._core import Keystore, LogReader, keys_of_rows
from intelgraph.errors import OutOfRange
from intelgraph.keys.unsealing import data_corrupt
from intelgraph.storage import change_log

if TYPE_CHECKING:
    from intelgraph.keys.unsealing import Unsealer
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database
    from intelgraph.temporal.catalogues import Catalogues
    from intelgraph.temporal.commit_watch import CommitWatch, Watched
    from intelgraph.tenants.registry import Tenant

PAGE_CHANGES: Final = 1000
"""Changes that one query looks at."""
SERVED_SECONDS: Final = 2.0
"""How often it is looked whether a tenant whose feed stands still is served on."""


@dataclass(frozen=True, slots=True)
class FeedPart:
    """`ChangesResponse.entries`, encoded, and the change after which the feed goes on."""

    entries: bytes
    resume_after_seq: int


class ChangeFeed:
    """Reads the feed of any tenant."""

    def __init__(
        self,
        database: "Database",
        unsealer: "Unsealer",
        catalogues: "Catalogues",
        keystore: Keystore,
        watch: "CommitWatch",
        served: Callable[[str], Awaitable[object]],
    ) -> None:
        """`served` raises for the name of a tenant that is not to be served any more."""
        self._database = database
        self._unsealer = unsealer
        self._catalogues = catalogues
        self._keystore = keystore
        self._watch = watch
        self._served = served

    async def changes(
        self, tenant: "Tenant", after_seq: int, datasets: Sequence[str], *, until_now: bool
    ) -> AsyncIterator[FeedPart]:
        """Changes with a greater `seq`, of some datasets or, if none is named, of all. With `until_now` it
        ends at the change that was the last one when it began; otherwise it waits for more.

        Where other datasets' changes are passed over, a part without entries tells how far, now and then.
        Raises OutOfRange SEQ_BEYOND_LOG, NotFound DATASET_NOT_FOUND, DataLoss DATA_CORRUPT, what `served`
        raises, and as `KeyService.authorise`.
        """
        wanted = [await self._catalogues.dataset_id(tenant, dataset) for dataset in datasets] or None
        async with self._watch.following(tenant.tenant_id) as watched:
            pages = self._pages(tenant, after_seq, wanted, watched, until_now=until_now)
            async with aclosing(pages):
                told = after_seq
                async for page, ends in pages:
                    for part in await self._opened(tenant, page, told, wanted):
                        told = part.resume_after_seq
                        yield part
                    passed = page.resume_after_seq - told
                    if passed >= PAGE_CHANGES or (ends and passed):
                        told = page.resume_after_seq
                        yield FeedPart(b"", told)

    async def _pages(
        self,
        tenant: "Tenant",
        after_seq: int,
        wanted: Sequence[int] | None,
        watched: "Watched",
        *,
        until_now: bool,
    ) -> AsyncGenerator[tuple[change_log.Changes, bool], None]:
        """Pages without end, or up to what is the end now; and whether the page is the last one."""
        seq, end = after_seq, None
        while True:
            async with self._database.read(tenant.tenant_id) as connection:
                page = await change_log.changes_after(
                    connection, tenant.tenant_id, seq, dataset_ids=wanted, limit=PAGE_CHANGES
                )
                await _check(connection, tenant, page, seq)
            end = page.watermark if end is None and until_now else end
            seq = page.resume_after_seq
            ends = end is not None and seq >= end
            yield page, ends
            if ends:
                return
            while seq >= page.watermark and not await watched.beyond(seq, SERVED_SECONDS):
                await self._served(tenant.name)

    async def _opened(
        self, tenant: "Tenant", page: change_log.Changes, told: int, wanted: Sequence[int] | None
    ) -> Sequence[FeedPart]:
        if not page.rows:
            return ()
        catalogue = await self._catalogues.covering(tenant, page.rows)
        reader = LogReader(self._keystore, tenant.tenant_id.bytes, catalogue)
        # Without a choice of datasets, and with nothing removed, every number has to be there.
        after_seq = told if wanted is None and not page.removed else None
        parts = await self._unsealer.run(
            tenant, keys_of_rows(page.rows), lambda: reader.changes(page.rows, after_seq)
        )
        *others, (last, _) = parts
        return [
            *(FeedPart(entries, seq) for entries, seq in others),
            FeedPart(last, page.resume_after_seq),
        ]


async def _check(connection: "Connection", tenant: "Tenant", page: change_log.Changes, seq: int) -> None:
    if seq > page.watermark:
        raise OutOfRange(
            "SEQ_BEYOND_LOG",
            f"change {seq} is not in the log, which ends with {page.watermark}",
            fix="if the database was restored from a backup, read the changes again from the beginning",
            metadata={"last_seq": str(page.watermark)},
        )
    if page.missing or page.resume_after_seq == seq < page.watermark:
        missing = await change_log.first_missing(connection, tenant.tenant_id, seq, page.watermark)
        raise data_corrupt(f"change {missing} of the log is corrupt: it is missing", missing)
