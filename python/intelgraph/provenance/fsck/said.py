"""What entries of some kinds say, as far as they can be opened: those that cannot are findings of `entries`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from intelgraph.errors import DataLoss
from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance.entries import Entry, EntryFilter, EntryReader
from intelgraph.provenance.kinds import KIND_NAMES

if TYPE_CHECKING:
    from intelgraph.provenance.facts import Facts
    from intelgraph.provenance.fsck.parts import LedgerParts

_PAGE: Final = 500

_INDEXES: Final = (
    "SELECT index FROM ledger_entry WHERE kind = ANY ($1::smallint[]) AND index < $2 ORDER BY index"
)


@dataclass(frozen=True, slots=True)
class Said:
    """An entry that is what was committed to."""

    index: int
    kind: int
    about: str | None
    """Id of the tenant that it is about, by its header."""
    tenant: str | None
    """The tenant's name."""
    by: str
    facts: dict[str, Any]


async def said(parts: "LedgerParts", size: int, *kinds: "type[Facts]") -> Sequence[Said]:
    """The entries of these kinds before index `size`, oldest first."""
    reader = EntryReader(parts.database, parts.unsealer, parts.keystore)
    numbers = tuple(kind.NUMBER for kind in kinds)
    async with parts.database.read(PLATFORM.tenant_id) as connection:
        indexes = [row["index"] for row in await connection.fetch(_INDEXES, numbers, size)]
    found: list[Said] = []
    for at in range(0, len(indexes), _PAGE):
        for entry in await _opened(reader, numbers, indexes[at : at + _PAGE]):
            header = entry.said
            # By the header, which is committed to: the column may be what was altered.
            kind = KIND_NAMES.get(header.get("kind", ""))
            if kind in numbers:
                tenant = header["tenant"]
                about, name = (None, None) if tenant is None else (tenant["id"], tenant["name"])
                facts = json.loads(entry.payload)
                found.append(Said(entry.index, kind, about, name, header["actor"]["subject"], facts))
    return found


async def _opened(reader: EntryReader, kinds: tuple[int, ...], indexes: Sequence[int]) -> Sequence[Entry]:
    """A page of them, oldest first; one by one, where one of them does not open."""
    wanted, end = EntryFilter(kinds=kinds), indexes[-1] + 1
    try:
        entries, _ = await reader.page(PLATFORM.tenant_id, wanted, end, len(indexes))
        return entries[::-1]
    except DataLoss:
        one_by_one = [await _one(reader, index) for index in indexes]
        return [entry for entry in one_by_one if entry is not None]


async def _one(reader: EntryReader, index: int) -> Entry | None:
    try:
        return await reader.get(PLATFORM.tenant_id, index)
    except DataLoss:
        return None
