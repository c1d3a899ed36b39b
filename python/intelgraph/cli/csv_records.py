"""CSV rows as JSON records, typed by the schema of a contract.

CSV knows only text. A cell becomes what its column's schema says it is: null for a null marker, else an
integer, a number, a boolean, JSON, or text. A cell that is none of that stays text: the gateway then names
the rule it breaks, and the record waits in quarantine instead of being guessed at. A column that the schema
does not know is text.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Final

import orjson

from intelgraph.cli.unreadable import Unreadable
from intelgraph.errors import InvalidArgument

DEFAULT_NULLS: Final = ("", "NA")

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MOST_REMEMBERED: Final = 1 << 14
_EXPONENT: Final = re.compile(r"[eE].*")
_NOT_DIGITS: Final = str.maketrans("", "", "+-.")
_DIGITS_OF_A_DOUBLE: Final = 17
"""Writers of CSV give a double up to 17 significant digits (IEEE 754-2019 §5.12.2)."""
_BOOLEANS: Final = {"true": True, "false": False, "TRUE": True, "FALSE": False, "True": True, "False": False}

_Convert = Callable[[str], object]


class ColumnType(Enum):
    """What the cells of a column are."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    JSON = "JSON"


def column_types(schema: Mapping[str, Any]) -> dict[str, ColumnType]:
    """The type of each column that the JSON Schema of one record (2020-12) has a property for."""
    properties = schema.get("properties", {})
    return {name: _column_type(_types(property_, schema)) for name, property_ in properties.items()}


class CsvRecords:
    """The records of a CSV text (RFC 4180, with a header line), as JSON documents."""

    def __init__(
        self, lines: Iterable[str], types: Mapping[str, ColumnType], nulls: Collection[str] = DEFAULT_NULLS
    ) -> None:
        """`lines` keep their line ends. Raises InvalidArgument (CSV_HEADER) for a header without names."""
        self._rows = csv.reader(lines, strict=True)
        self.header = tuple(next(self._rows, ()))
        if not all(self.header) or len(set(self.header)) != len(self.header) or not self.header:
            raise InvalidArgument(
                reason="CSV_HEADER",
                message="the first line does not name every column once",
                fix="begin the file with a line of distinct names, those of the contract's schema",
            )
        self.unreadable = Unreadable()
        nulls = frozenset(nulls)
        self._columns = [
            _Column(_CONVERTERS[types.get(name, ColumnType.TEXT)], nulls) for name in self.header
        ]

    @property
    def line(self) -> int:
        """Line that the newest row ends on, from 1."""
        return self._rows.line_num

    def __iter__(self) -> Iterator[bytes]:
        header, columns, rows = self.header, self._columns, self._rows
        while (row := self._next_row()) is not None:
            if len(row) != len(header):
                if row:
                    self.unreadable.add(rows.line_num, f"{len(row)} cells, the header has {len(header)}")
                continue
            try:
                yield orjson.dumps(
                    {name: column[cell] for name, column, cell in zip(header, columns, row, strict=True)}
                )
            except TypeError:
                # What is not UTF-8 was read as surrogates, which JSON cannot hold.
                self.unreadable.add(rows.line_num, "not UTF-8")

    def _next_row(self) -> list[str] | None:
        while True:
            try:
                return next(self._rows, None)
            except csv.Error:
                self.unreadable.add(self._rows.line_num, "quotes that do not match, or a cell beyond 128 KiB")


class _Column(dict[str, object]):
    """What the cells of a column have become. Most columns hold few distinct cells, each converted once."""

    def __init__(self, convert: _Convert, nulls: frozenset[str]) -> None:
        super().__init__(dict.fromkeys(nulls))
        self._convert = convert

    def __missing__(self, cell: str) -> object:
        value = self._convert(cell)
        if len(self) < _MOST_REMEMBERED:
            self[cell] = value
        return value


def _types(schema: object, root: Mapping[str, Any]) -> frozenset[str]:
    """The JSON types that a schema names; none where it does not say."""
    if not isinstance(schema, Mapping):
        return frozenset()
    if isinstance(reference := schema.get("$ref"), str) and reference.startswith("#/$defs/"):
        return _types(root.get("$defs", {}).get(reference.removeprefix("#/$defs/")), root)
    named = schema.get("type")
    if isinstance(named, str):
        return frozenset({named})
    if isinstance(named, list):
        return frozenset(named)
    alternatives = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return frozenset().union(*(_types(alternative, root) for alternative in alternatives))


def _column_type(types: frozenset[str]) -> ColumnType:
    match sorted(types - {"null"}):
        case ["integer"]:
            return ColumnType.INTEGER
        case ["number"] | ["integer", "number"]:
            return ColumnType.NUMBER
        case ["boolean"]:
            return ColumnType.BOOLEAN
        case ["array"] | ["object"] | ["array", "object"]:
            return ColumnType.JSON
        case _:
            return ColumnType.TEXT


def _text(cell: str) -> object:
    return cell


def _integer(cell: str) -> object:
    return int(cell) if _INTEGER.fullmatch(cell) else _number(cell)


def _number(cell: str) -> object:
    if not _NUMBER.fullmatch(cell):
        return cell
    if _INTEGER.fullmatch(cell):
        return int(cell)
    digits = _EXPONENT.sub("", cell).translate(_NOT_DIGITS).lstrip("0")
    if len(digits) > _DIGITS_OF_A_DOUBLE and _JSON_NUMBER.fullmatch(cell):
        # Passed on digit by digit: the gateway refuses what a double cannot hold.
        return orjson.Fragment(cell)
    return float(cell)


def _boolean(cell: str) -> object:
    return _BOOLEANS.get(cell, cell)


def _json(cell: str) -> object:
    try:
        return orjson.loads(cell)
    except orjson.JSONDecodeError:
        return cell


_CONVERTERS: Final[Mapping[ColumnType, _Convert]] = {
    ColumnType.TEXT: _text,
    ColumnType.INTEGER: _integer,
    ColumnType.NUMBER: _number,
    ColumnType.BOOLEAN: _boolean,
    ColumnType.JSON: _json,
}
