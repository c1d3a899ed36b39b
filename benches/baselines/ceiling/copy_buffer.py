"""A binary COPY buffer that can be sent over and over, its counters and times moving on each time.

The format is that of PostgreSQL's documentation of COPY, "Binary Format": an 11-byte signature, 32-bit
flags, a 32-bit header extension length, then per row a 16-bit field count and per field a 32-bit length (-1
for null) and as many bytes, and at the end a 16-bit -1.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0"
_HEADER_BYTES: Final = len(_SIGNATURE) + 8
_END_OF_ROWS: Final = -1
_ADVANCING_BYTES: Final = 8


class CopyBufferError(ValueError):
    """The bytes are not a binary COPY buffer that can be advanced as asked."""


class CopyBuffer:
    """One batch of rows.

    `steps` maps the position of a column (from 0) to what is added to it each time the buffer is sent
    again. Such a column must be an 8-byte integer or a timestamp (microseconds) and not null.

    Raises:
        CopyBufferError: if the bytes are something else.
    """

    def __init__(self, content: bytes, steps: Mapping[int, int]) -> None:
        self._content = bytearray(content)
        self._bytes = np.frombuffer(self._content, dtype=np.uint8)
        self._advancing = [(step, _positions(content, column)) for column, step in steps.items()]
        self._sent = False

    def next(self) -> memoryview:
        """The buffer to send now; valid until `next` is called again."""
        if self._sent:
            for step, positions in self._advancing:
                values = self._bytes[positions].view(">i8")
                values += step
                self._bytes[positions] = values.view(np.uint8)
        self._sent = True
        return memoryview(self._content)


def column_values(content: bytes, column: int) -> NDArray[np.int64]:
    """The values of one 8-byte column, one per row.

    Raises:
        CopyBufferError: if the column is not one of 8 bytes in every row.
    """
    raw = np.frombuffer(content, dtype=np.uint8)[_positions(content, column)]
    return raw.view(">i8").reshape(-1).astype(np.int64)


def _positions(content: bytes, column: int) -> NDArray[np.intp]:
    """Where the 8 bytes of a column stand: an array of shape (rows, 8)."""
    starts: list[int] = []
    for fields in _rows(content):
        start, length = fields[column]
        if length != _ADVANCING_BYTES:
            raise CopyBufferError(f"column {column} of row {len(starts)} has {length} bytes instead of 8")
        starts.append(start)
    return np.array(starts, dtype=np.intp)[:, np.newaxis] + np.arange(_ADVANCING_BYTES, dtype=np.intp)


def _rows(content: bytes) -> Iterator[list[tuple[int, int]]]:
    """Yields, per row, the start and the length of each field."""
    if not content.startswith(_SIGNATURE):
        raise CopyBufferError("the signature of binary COPY is missing")
    place = _HEADER_BYTES
    while (count := struct.unpack_from("!h", content, place)[0]) != _END_OF_ROWS:
        place += 2
        fields = []
        for _ in range(count):
            length: int = struct.unpack_from("!i", content, place)[0]
            place += 4
            fields.append((place, length))
            place += max(length, 0)
        yield fields
