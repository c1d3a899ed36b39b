"""Where `ingest` and `contract validate` take records from: CSV or NDJSON, a file or standard input."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from codecs import BOM_UTF8
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
    line: Callable[[], int]
    """Line that the newest record ends on, from 1."""

    def records_within(self, most_bytes: int) -> Iterator[bytes]:
        """The records; one beyond `most_bytes` is counted as unreadable instead."""
        for record in self.records:
            if len(record) <= most_bytes:
                yield record
            else:
                self.unreadable.add(
                    self.line(), f"a record beyond {most_bytes:,} bytes, the most a batch holds"
                )


class NdjsonRecords:
    """The records of NDJSON: one document a line, passed on byte for byte. May begin with a byte order mark."""

    def __init__(self, file: BinaryIO) -> None:
        self.line = 0
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        for line in self._file:
            self.line += 1
            document = (line.removeprefix(BOM_UTF8) if self.line == 1 else line).strip()
            if document:
                yield document


def require_readable(paths: Iterable[Path], format_: Format | None) -> None:
    """Looks at every file before the first is read. Raises as `open_source`, CSV_HEADER aside.

    Does not open them: a pipe can be opened only once.
    """
    for path in paths:
        _format_of(path, format_)
        if path == STANDARD_INPUT:
            continue
        try:
            mode = path.stat().st_mode
        except OSError as error:
            raise _unreadable_file(path, error.strerror) from error
        if stat.S_ISDIR(mode):
            raise _unreadable_file(path, os.strerror(errno.EISDIR))
        if not os.access(path, os.R_OK):
            raise _unreadable_file(path, os.strerror(errno.EACCES))


@contextmanager
def open_source(
    path: Path, format_: Format | None, types: Mapping[str, ColumnType], nulls: Collection[str]
) -> Iterator[RecordSource]:
    """Opens a file, or standard input for `-`. Without a format, the name's suffix says it.

    Raises InvalidArgument (FORMAT_UNKNOWN, FILE_UNREADABLE, CSV_HEADER).
    """
    chosen = _format_of(path, format_)
    if path == STANDARD_INPUT:
        yield read_source("standard input", sys.stdin.buffer, None, chosen, types, nulls)
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise _unreadable_file(path, error.strerror) from error
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
        lines = NdjsonRecords(file)
        return RecordSource(name, lines, Unreadable(), size, position, lambda: lines.line)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    rows = CsvRecords(text, types, nulls)
    return RecordSource(name, rows, rows.unreadable, size, position, lambda: rows.line)


def _format_of(path: Path, format_: Format | None) -> Format:
    chosen = format_ or (Format.NDJSON if path == STANDARD_INPUT else _SUFFIXES.get(path.suffix.lower()))
    if chosen is None:
        raise InvalidArgument(
            reason="FORMAT_UNKNOWN",
            message=f"{path} does not say by its suffix how its records are written",
            fix=f"name it with --format {'|'.join(Format)}",
        )
    return chosen


def _unreadable_file(path: Path, problem: str | None) -> InvalidArgument:
    return InvalidArgument(reason="FILE_UNREADABLE", message=f"{path}: {problem}", fix="name a readable file")


def _position_of(file: BinaryIO, size: int | None) -> Callable[[], int]:
    return file.tell if size is not None else lambda: 0
