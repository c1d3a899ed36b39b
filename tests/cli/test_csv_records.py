"""CSV cells become what the contract's schema says they are, and nothing is guessed at."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intelgraph import errors
from intelgraph.cli.csv_records import ColumnType, CsvRecords, column_types


def read(text: str, types: dict[str, ColumnType] | None = None, **options: Any) -> list[Any]:
    return [
        json.loads(document) for document in CsvRecords(io.StringIO(text, newline=""), types or {}, **options)
    ]


def one(cell: str, type_: ColumnType) -> object:
    (record,) = read(f"a\n{cell}\n", {"a": type_})
    return record["a"]


def test_columns_are_typed_by_the_schema() -> None:
    schema = {
        "$defs": {"degrees": {"type": ["number", "null"]}},
        "properties": {
            "year": {"type": ["integer", "null"]},
            "name": {"type": "string"},
            "temp": {"$ref": "#/$defs/degrees"},
            "late": {"type": "boolean"},
            "tags": {"type": "array"},
            "either": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "mixed": {"type": ["integer", "string"]},
            "anything": True,
        },
    }
    assert column_types(schema) == {
        "year": ColumnType.INTEGER,
        "name": ColumnType.TEXT,
        "temp": ColumnType.NUMBER,
        "late": ColumnType.BOOLEAN,
        "tags": ColumnType.JSON,
        "either": ColumnType.INTEGER,
        "mixed": ColumnType.TEXT,
        "anything": ColumnType.TEXT,
    }


@pytest.mark.parametrize(
    ("cell", "type_", "value"),
    [
        ("42", ColumnType.INTEGER, 42),
        ("-0042", ColumnType.INTEGER, -42),
        ("+7", ColumnType.INTEGER, 7),
        ("5.5", ColumnType.INTEGER, 5.5),
        ("1_000", ColumnType.INTEGER, "1_000"),
        ("many", ColumnType.INTEGER, "many"),
        ("39.02", ColumnType.NUMBER, 39.02),
        (".5", ColumnType.NUMBER, 0.5),
        ("5.", ColumnType.NUMBER, 5.0),
        ("1e3", ColumnType.NUMBER, 1000.0),
        ("nan", ColumnType.NUMBER, "nan"),
        ("inf", ColumnType.NUMBER, "inf"),
        ("true", ColumnType.BOOLEAN, True),
        ("FALSE", ColumnType.BOOLEAN, False),
        ("yes", ColumnType.BOOLEAN, "yes"),
        ("[1]", ColumnType.JSON, [1]),
        ("[1", ColumnType.JSON, "[1"),
        ("007", ColumnType.TEXT, "007"),
        ("NA", ColumnType.INTEGER, None),
        ("NA", ColumnType.TEXT, None),
    ],
)
def test_a_cell_becomes(cell: str, type_: ColumnType, value: object) -> None:
    assert one(cell, type_) == value
    assert type(one(cell, type_)) is type(value)


def test_the_long_form_of_a_double_becomes_its_shortest() -> None:
    (document,) = CsvRecords(["a\n", "-72.886806000000007\n"], {"a": ColumnType.NUMBER})
    assert document == b'{"a":-72.886806}'


@pytest.mark.parametrize("cell", ["0.1000000000000000055511151231257827", "12345678901234567890123"])
def test_what_no_double_can_be_keeps_every_digit(cell: str) -> None:
    (document,) = CsvRecords(["a\n", cell], {"a": ColumnType.NUMBER})
    assert document == f'{{"a":{cell}}}'.encode()


def test_null_markers_can_be_chosen() -> None:
    assert read("a,b\nNA,-\n", nulls=["-"]) == [{"a": "NA", "b": None}]


def test_a_line_that_does_not_fit_the_header_spares_the_others() -> None:
    records = CsvRecords(io.StringIO("a,b\n1,2\n1\n\n1,2,3\n3,4\n", newline=""), {})
    assert [json.loads(document) for document in records] == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert records.unreadable.total == 2
    assert records.unreadable.problems == {
        "1 cells, the header has 2": (1, (3,)),
        "3 cells, the header has 2": (1, (5,)),
    }


def test_bytes_that_are_not_utf8_spare_the_other_lines() -> None:
    text = io.TextIOWrapper(
        io.BytesIO(b"a\n\xff\nb\n"), encoding="utf-8", errors="surrogateescape", newline=""
    )
    records = CsvRecords(text, {})
    assert list(records) == [b'{"a":"b"}']
    assert records.unreadable.problems == {"not UTF-8": (1, (2,))}


def test_quotes_that_do_not_match_are_counted() -> None:
    records = CsvRecords(["a,b\n", '"x"y,1\n', "2,3\n"], {})
    assert list(records) == [b'{"a":"2","b":"3"}']
    assert records.unreadable.total == 1


def test_a_quoted_cell_may_hold_lines_and_commas() -> None:
    assert read('a,b\r\n"1,\r\n2","say ""hi"""\r\n') == [{"a": "1,\r\n2", "b": 'say "hi"'}]


@pytest.mark.parametrize("header", ["", "a,a\n", "a,\n"])
def test_a_header_names_every_column_once(header: str) -> None:
    with pytest.raises(errors.InvalidArgument, match="CSV_HEADER"):
        read(header)


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@given(st.lists(st.tuples(cells, st.integers(-(2**63), 2**63 - 1), st.booleans()), max_size=20))
def test_what_a_csv_writer_writes_reads_back(rows: list[tuple[str, int, bool]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["t", "i", "b"])
    writer.writerows([row[0], row[1], "true" if row[2] else "false"] for row in rows)
    types = {"t": ColumnType.TEXT, "i": ColumnType.INTEGER, "b": ColumnType.BOOLEAN}
    expected = [{"t": None if t in {"", "NA"} else t, "i": i, "b": b} for t, i, b in rows]
    assert read(text.getvalue(), types) == expected
