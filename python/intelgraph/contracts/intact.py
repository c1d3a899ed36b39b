"""That a stored contract is the one that was published."""

import hashlib

from intelgraph.errors import DataLoss


def require_intact(document: bytes, digest: bytes, dataset: str, version: str) -> None:
    """Raises DataLoss CONTRACT_ALTERED for a document, in canonical form, that is not what its digest says."""
    if hashlib.sha256(document).digest() != digest:
        raise altered(dataset, version)


def altered(dataset: str, version: str) -> DataLoss:
    """The refusal of a contract that somebody changed past the gateway."""
    return DataLoss(
        "CONTRACT_ALTERED",
        f"the document of version {version} of {dataset} is not the one that was published",
        fix="restore its row from a backup of the database; `intelgraph ledger verify` names all that was altered",
        metadata={"dataset": dataset, "version": version},
    )
