"""The keys that entries are sealed under: without them there is nothing to open, and the tree can still be checked."""

from typing import TYPE_CHECKING

from intelgraph.errors import DataLoss
from intelgraph.keys.platform import PLATFORM

if TYPE_CHECKING:
    from intelgraph.provenance.fsck.parts import LedgerParts
    from intelgraph.provenance.fsck.verdict import LedgerVerdict


async def can_open(parts: "LedgerParts", verdict: "LedgerVerdict") -> bool:
    """Whether the platform's keys can be had; that their rows are damaged is a finding. Raises as
    `KeyService.authorise` for a KMS that does not answer, or says no.
    """
    try:
        await parts.unsealer.run(PLATFORM, b"", lambda: None)
    except DataLoss as error:
        what = f"no entry was opened, and no table held against what entries say: {error.message}"
        verdict.find(error.reason, what, table=error.metadata.get("table", "tenant_key"))
        return False
    return True


def check_data_keys(parts: "LedgerParts", verdict: "LedgerVerdict") -> None:
    """Finds the data keys whose rows were damaged, once everything was opened that could be."""
    for key_id, error in parts.unsealer.damaged(PLATFORM.tenant_id).items():
        verdict.find(error.reason, error.message, table="data_key", row=key_id)
