"""Where `ingest` and `contract validate` take records from: CSV or NDJSON, a file or standard input."""

from __future__ import annotations

import io
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from intelgraph.cli.csv_records import ColumnType, CsvRecords
from intelgraph.cli.unreadable import Unreadable
from intelgraph.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable

STANDARD_INPUT: Final = Path("-")


class Format(StrEnum):
    """How records are written down."""

    CSV = "csv"
    NDJSON = "ndjson"


_SUFFIXES: Final = {".csv": Format.CSV, ".ndjson": Format.NDJSON, ".jsonl": Format.NDJSON}


@dataclass(frozen=True, slots=True)
class RecordSource:
    """JSON documents from one file, once."""

    name: str
    records: Iterable[bytes]
    unreadable: Unreadable
    """Lines that hold no record, so far."""
    size: int | None
    """Bytes of the file; None where it has no end in sight."""
    position: Callable[[], int]
    """Bytes read so far."""


@contextmanager
def open_source(
    path: Path, format_: Format | None, types: Mapping[str, ColumnType], nulls: Collection[str]
) -> Iterator[RecordSource]:
    """Opens a file, or standard input for `-`. Without a format, the name's suffix says it.

    Raises InvalidArgument (FORMAT_UNKNOWN, FILE_UNREADABLE, CSV_HEADER).
    """
    chosen = format_ or (Format.NDJSON if path == STANDARD_INPUT else _SUFFIXES.get(path.suffix.lower()))
    if chosen is None:
        raise InvalidArgument(
            reason="FORMAT_UNKNOWN",
            message=f"{path} does not say by its suffix how its records are written",
            fix=f"name it with --format {'|'.join(Format)}",
        )
    if path == STANDARD_INPUT:
        yield read_source("standard input", sys.stdin.buffer, None, chosen, types, nulls)
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise InvalidArgument(
            reason="FILE_UNREADABLE", message=f"{path}: {error.strerror}", fix="name a readable file"
        ) from error
    with file:
        yield read_source(path.name, file, path.stat().st_size, chosen, types, nulls)


def read_source(
    name: str,
    file: BinaryIO,
    size: int | None,
    format_: Format,
    types: Mapping[str, ColumnType],
    nulls: Collection[str],
) -> RecordSource:
    """The records of an open file."""
    position = _position_of(file, size)
    if format_ is Format.NDJSON:
        return RecordSource(name, _lines(file), Unreadable(), size, position)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    rows = CsvRecords(text, types, nulls)
    return RecordSource(name, rows, rows.unreadable, size, position)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    for line in file:
        document = line.strip()
        if document:
            yield document


def _position_of(file: BinaryIO, size: int | None) -> Callable[[], int]:
    return file.tell if size is not None else lambda: 0
