"""What is checked of the ledger, in order.

Every leaf is computed anew from the entry's commitments, and from the leaves every tile and root; every entry that is
not erased is opened and compared with its commitments and with the columns it is found by; every checkpoint that was
kept has to be signed by the log's key and to be a prefix; every file of the directory has to be one of the log's, byte
for byte; every row of a table that entries tell of has to be as they tell. What is found is named by the index of the
entry, by the file, or by table and row.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance import log_rows
from intelgraph.provenance.fsck import entries
from intelgraph.provenance.fsck.checkpoints import check_checkpoints
from intelgraph.provenance.fsck.emptied import check_emptied
from intelgraph.provenance.fsck.keys import can_open, check_data_keys
from intelgraph.provenance.fsck.tables.check import check_tables
from intelgraph.provenance.fsck.tree import Tree
from intelgraph.provenance.fsck.verdict import LedgerVerdict

if TYPE_CHECKING:
    from intelgraph.provenance.fsck.parts import LedgerParts


class LedgerCheck:
    """One check, from the first entry to the end that the log had when it began."""

    def __init__(self, parts: "LedgerParts") -> None:
        self._parts = parts

    async def run(self, progress: Callable[[int, int], None] = lambda done, last: None) -> LedgerVerdict:
        """Checks everything. `progress` is told how many entries were checked, and how many there are.

        Raises as `KeyService.authorise`, and what the database and the directory raise: what is wrong with the ledger
        itself is a finding.
        """
        parts = self._parts
        async with parts.database.read(PLATFORM.tenant_id) as connection:
            head = await log_rows.head(connection)
            beyond = await connection.fetchval(
                "SELECT count(*) FROM ledger_entry WHERE index >= $1", head.size
            )
        verdict = LedgerVerdict(head.origin, head.size, head.root)
        tree = Tree(parts.directory, await check_checkpoints(parts, head, verdict), verdict)
        opens = await can_open(parts, verdict)
        async for page in entries.pages(parts, head, verdict, can_open=opens):
            await tree.take(page)
            progress(page.end, head.size)
        await tree.check_end(head)
        await entries.check_end(parts, head, beyond, verdict)
        if head.fork_index is not None:
            verdict.find(
                "FORKED",
                "the log here is not the one that was signed, and nothing is appended",
                index=head.fork_index,
            )
        if opens:
            await check_emptied(parts, head, verdict)
        await check_tables(parts, verdict, can_open=opens)
        check_data_keys(parts, verdict)
        return verdict
