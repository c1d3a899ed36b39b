"""Erases what an entry says, on two people's word. Its leaf stays, so every proof goes on to hold; that it was erased
is an entry as well.

Only entries of kinds that name persons and prove nothing else can go (`Facts.ERASABLE`): what says what was done about
the ledger, approvals, keys and rules stays for good, for `intelgraph ledger verify` holds everything else against it.
"""

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from intelgraph.errors import FailedPrecondition, InvalidArgument
from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance.entries import EntryState, erasure_subject
from intelgraph.provenance.kinds import KIND_NAMES, KINDS
from intelgraph.provenance.kinds.ledger import EntryErased

if TYPE_CHECKING:
    from intelgraph.provenance.actor import Actor
    from intelgraph.provenance.consents import PlatformConsents
    from intelgraph.provenance.entries import Entry, EntryReader
    from intelgraph.provenance.ledger import Ledger
    from intelgraph.storage.database import Database

APPROVAL_KIND: Final = "ledger.erase"
LONGEST_REASON: Final = 1000

_ERASE: Final = """
UPDATE ledger_entry SET header = NULL, payload = NULL, subject_tag = NULL, erased_by = $2
WHERE index = $1 AND erased_by IS NULL
"""


async def erase(
    database: "Database",
    ledger: "Ledger",
    reader: "EntryReader",
    consents: "PlatformConsents",
    *,
    index: int,
    reason: str,
    approval_id: UUID | None,
    by: "Actor",
) -> None:
    """Erases header and payload of entry `index`.

    Raises InvalidArgument LEDGER_REASON_MISSING, NotFound LEDGER_ENTRY_NOT_FOUND, FailedPrecondition
    LEDGER_ENTRY_ERASED, LEDGER_ENTRY_RECOVERED or LEDGER_ENTRY_STAYS, DataLoss DATA_CORRUPT for one that was
    altered, and as `Approvals.consume` and `Ledger.append`.
    """
    if not reason.isprintable() or not 0 < len(reason.strip()) <= LONGEST_REASON:
        raise InvalidArgument(
            "LEDGER_REASON_MISSING",
            f"an entry is erased for a reason, one line of 1 to {LONGEST_REASON} characters",
            fix="say why: it is what later readers find in the entry's place",
        )
    # Opened and held against its commitments: what its columns say is not what decides.
    plan = _plan(await reader.get(PLATFORM.tenant_id, index), reason)
    await ledger.ready(2)
    async with database.write() as connection:
        await consents.consume(
            connection, approval_id=approval_id, kind=APPROVAL_KIND, tenant=None, document=plan, by=by
        )
        facts = EntryErased(
            index, plan["entry_id"], plan["kind"], plan["tenant_id"], reason, str(approval_id)
        )
        # About the platform, whoever's entry it was: readers of either look it up.
        erased_by = await ledger.append(connection, facts, subject=erasure_subject(index), by=by, tenant=None)
        if await connection.execute(_ERASE, index, erased_by) != "UPDATE 1":
            raise _erased(index)


def _plan(entry: "Entry", reason: str) -> dict[str, Any]:
    """What an approval binds to: what goes, and why. Raises for an entry that cannot be erased."""
    if entry.state is EntryState.ERASED:
        raise _erased(entry.index)
    if entry.state is EntryState.RECOVERED:
        raise FailedPrecondition(
            "LEDGER_ENTRY_RECOVERED",
            f"entry {entry.index} was recovered from the log's tiles and has nothing to erase",
            fix="nothing is left to be done",
        )
    kind, tenant = entry.said["kind"], entry.said["tenant"]
    if kind not in KIND_NAMES or not KINDS[KIND_NAMES[kind]].ERASABLE:
        raise FailedPrecondition(
            "LEDGER_ENTRY_STAYS",
            f"entry {entry.index} is of the kind {kind}, and other things are held against it: it is never erased",
            fix="leave it; docs/ledger.md lists the kinds that can be erased",
        )
    return {
        "index": entry.index,
        "entry_id": str(entry.entry_id),
        "kind": kind,
        "tenant_id": None if tenant is None else tenant["id"],
        "leaf": entry.leaf.decode(),
        "reason": reason,
    }


def _erased(index: int) -> FailedPrecondition:
    return FailedPrecondition(
        "LEDGER_ENTRY_ERASED",
        f"entry {index} is erased already",
        fix="`intelgraph ledger show` says by whom, and why",
    )
