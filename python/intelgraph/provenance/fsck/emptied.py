"""Entries of which only the commitments are left: another entry has to say why."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance.fsck.said import said
from intelgraph.provenance.kinds import KINDS
from intelgraph.provenance.kinds.ledger import EntryErased, LedgerRecovered

if TYPE_CHECKING:
    import asyncpg

    from intelgraph.provenance.fsck.parts import LedgerParts
    from intelgraph.provenance.fsck.verdict import LedgerVerdict
    from intelgraph.provenance.log_rows import LogHead


async def check_emptied(parts: "LedgerParts", head: "LogHead", verdict: "LedgerVerdict") -> None:
    """Finds what was emptied without a word, and columns that are not what was said when it was erased."""
    recovered = [
        (each.facts["first_index"], each.facts["size"])
        for each in await said(parts, head.size, LedgerRecovered)
    ]
    erased = {each.facts["index"]: each.facts for each in await said(parts, head.size, EntryErased)}
    async with parts.database.read(PLATFORM.tenant_id) as connection:
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


def _columns(row: "asyncpg.Record") -> tuple[str | None, ...]:
    kind, tenant_id = row["kind"], row["tenant_id"]
    about = None if tenant_id is None else str(tenant_id)
    return str(row["entry_id"]), KINDS[kind].KIND if kind in KINDS else None, about


def _erased_columns(facts: Mapping[str, Any]) -> tuple[str | None, ...]:
    return facts["entry_id"], facts["erased_kind"], facts["about_tenant"]


_EMPTY: Final = """
SELECT index, entry_id, tenant_id, kind FROM ledger_entry
WHERE header IS NULL AND payload IS NULL AND index < $1 ORDER BY index
"""
