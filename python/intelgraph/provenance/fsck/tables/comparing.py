"""Rows of a table as they are, and as entries told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from intelgraph.provenance.fsck.verdict import LedgerVerdict

Columns: TypeAlias = Mapping[str, object]

Rows: TypeAlias = Mapping[str, Columns]
"""By what names the row."""


@dataclass(frozen=True, slots=True)
class Told:
    """What entries told of a row, the last of them at `index`; None where it is as it was made."""

    index: int | None
    columns: Columns | None
    """None where the row is not to be there."""

    def but(self, index: int, **columns: object) -> "Told":
        """The same with what a later entry told."""
        return Told(index, {**(self.columns or {}), **columns})


def compare(verdict: "LedgerVerdict", table: str, rows: Rows, told: Mapping[str, Told]) -> None:
    """Names every row that is not what was told: altered, taken away, or put in."""
    for name, each in told.items():
        row = rows.get(name)
        if row is None:
            if each.columns is not None:
                what = "the entry tells of a row that is not there"
                verdict.find("TABLE_ROW_MISSING", what, index=each.index, table=table, row=name)
            continue
        if each.columns is None:
            what = "it is there, and by the entry it is not"
            verdict.find("TABLE_ROW_DIFFERS", what, index=each.index, table=table, row=name)
            continue
        differing = [column for column, value in each.columns.items() if row[column] != value]
        if differing:
            source = (
                "what the entry told"
                if each.index is not None
                else "what it is until an entry tells otherwise"
            )
            what = f"{', '.join(differing)}: not {source}"
            verdict.find("TABLE_ROW_DIFFERS", what, index=each.index, table=table, row=name)
    for name in rows.keys() - told.keys():
        verdict.find("TABLE_ROW_UNTOLD", "no entry tells how it came about", table=table, row=name)
