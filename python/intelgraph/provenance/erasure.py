"""Erases what an entry says. Its leaf stays, so every proof goes on to hold; that it was erased is an entry as well."""

from typing import TYPE_CHECKING, Final

from intelgraph.errors import FailedPrecondition, InvalidArgument, NotFound
from intelgraph.provenance.entries import erasure_subject
from intelgraph.provenance.kinds import KINDS
from intelgraph.provenance.kinds.ledger import EntryErased

if TYPE_CHECKING:
    from intelgraph.provenance.actor import Actor
    from intelgraph.provenance.ledger import Ledger
    from intelgraph.storage.database import Database

LONGEST_REASON: Final = 1000

_ENTRY: Final = "SELECT entry_id, tenant_id, kind, erased_by FROM ledger_entry WHERE index = $1"

_ERASE: Final = """
UPDATE ledger_entry SET header = NULL, payload = NULL, subject_tag = NULL, erased_by = $2
WHERE index = $1 AND erased_by IS NULL
"""


async def erase(database: "Database", ledger: "Ledger", index: int, reason: str, by: "Actor") -> None:
    """Erases header and payload of entry `index`.

    Raises InvalidArgument LEDGER_REASON_MISSING, NotFound LEDGER_ENTRY_NOT_FOUND, FailedPrecondition
    LEDGER_ENTRY_ERASED or LEDGER_ENTRY_RECOVERED, and as `Ledger.append`.
    """
    if not 0 < len(reason.strip()) <= LONGEST_REASON:
        raise InvalidArgument(
            "LEDGER_REASON_MISSING",
            f"an entry is erased for a reason of 1 to {LONGEST_REASON} characters",
            fix="say why: it is what later readers find in the entry's place",
        )
    await ledger.ready()
    async with database.write() as connection:
        row = await connection.fetchrow(_ENTRY, index)
        if row is None:
            raise NotFound(
                "LEDGER_ENTRY_NOT_FOUND",
                f"there is no entry {index}",
                fix="`intelgraph ledger list` shows what there is",
            )
        if row["erased_by"] is not None:
            raise _erased(index)
        if row["kind"] is None:
            raise FailedPrecondition(
                "LEDGER_ENTRY_RECOVERED",
                f"entry {index} was recovered from the log's tiles and has nothing to erase",
                fix="nothing is left to be done",
            )
        about = None if row["tenant_id"] is None else str(row["tenant_id"])
        facts = EntryErased(index, str(row["entry_id"]), KINDS[row["kind"]].KIND, about, reason)
        # About the platform, whoever's entry it was: readers of either look it up.
        erased_by = await ledger.append(connection, facts, subject=erasure_subject(index), by=by, tenant=None)
        if await connection.execute(_ERASE, index, erased_by) != "UPDATE 1":
            raise _erased(index)


def _erased(index: int) -> FailedPrecondition:
    return FailedPrecondition(
        "LEDGER_ENTRY_ERASED",
        f"entry {index} is erased already",
        fix="`intelgraph ledger show` says by whom, and why",
    )
