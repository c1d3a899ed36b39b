"""Contracts: each version that was published, with its document."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from intelgraph.contracts.precedence import precedence
from intelgraph.provenance.fsck.said import said
from intelgraph.provenance.fsck.tables.comparing import Told, compare
from intelgraph.provenance.kinds.spine import ContractPublished

if TYPE_CHECKING:
    import asyncpg

    from intelgraph.provenance.fsck.parts import LedgerParts
    from intelgraph.provenance.fsck.verdict import LedgerVerdict
    from intelgraph.storage.connection import Connection

_CONTRACTS: Final = """
SELECT contract.tenant_id, dataset.name AS dataset, contract.version, contract.precedence,
  encode(contract.digest, 'hex') AS digest, encode(sha256(contract.document), 'hex') AS document
FROM contract LEFT JOIN dataset
  ON dataset.tenant_id = contract.tenant_id AND dataset.dataset_id = contract.dataset_id
"""


@dataclass(frozen=True, slots=True)
class Contracts:
    """Rows of `contract`, with the names of their datasets."""

    rows: "Sequence[asyncpg.Record]"

    async def check(self, parts: "LedgerParts", size: int, verdict: "LedgerVerdict") -> None:
        """Compares them."""
        told = {}
        for each in await said(parts, size, ContractPublished):
            version, digest = each.facts["version"], each.facts["digest"]
            columns = {"digest": digest, "document": digest, "precedence": precedence(version)}
            told[f"{each.about} {each.facts['dataset']}@{version}"] = Told(each.index, columns)
        rows = {f"{row['tenant_id']} {row['dataset']}@{row['version']}": dict(row) for row in self.rows}
        compare(verdict, "contract", rows, told)


async def read(connection: "Connection") -> Contracts:
    """All rows."""
    return Contracts(await connection.fetch(_CONTRACTS))
