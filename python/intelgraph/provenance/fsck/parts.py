"""What a check of the ledger reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from intelgraph._core import Keystore
    from intelgraph.keys.checking import CheckingUnsealer
    from intelgraph.provenance.checkpoints import CheckpointSigner
    from intelgraph.provenance.log_directory import LogDirectory
    from intelgraph.storage.database import Database


@dataclass(frozen=True, slots=True)
class LedgerParts:
    """Database, keys and log directory of a gateway."""

    database: "Database"
    unsealer: "CheckingUnsealer"
    keystore: "Keystore"
    directory: "LogDirectory"
    copies: Sequence["LogDirectory"]
    witnesses: Sequence[str]
    """Verifier keys."""
    signer: "CheckpointSigner"
