"""Rows as one `bytea`, in PostgreSQL's binary COPY format, made by the query itself.

COPY TO cannot take parameters, so its plan could not be kept and asyncpg would need two more round trips; a
record per row would be Python per row. Hence queries that aggregate their rows into what COPY would send
(PostgreSQL documentation, COPY, "Binary Format"): a header of 19 bytes, then for each row a count of fields
(i16) and for each field its length (i32, -1 for NULL) and bytes. Integers are big-endian, a `timestamptz` is
an i64 of microseconds since 2000-01-01 UTC. No trailer; where there are no rows, no header.
"""

_SENT = {
    "int2": (2, "int2send"),
    "int4": (4, "int4send"),
    "int8": (8, "int8send"),
    "timestamptz": (8, "timestamptz_send"),
    "uuid": (16, "uuid_send"),
}


def copy_row(*columns: tuple[str, str]) -> str:
    """The SQL expression of one row; each column is an expression and its type, with a question mark behind it where
    it may be NULL. A bytea always may.
    """
    return " || ".join([_bytes(len(columns).to_bytes(2)), *(_field(*column) for column in columns)])


def copy_rows(row: str, order: str = "") -> str:
    """The SQL aggregate of all rows, in an order or, cheaper, in none; NULL where there are no rows."""
    return f"{_bytes(_HEADER)} || string_agg({row}, ''::bytea{order and f' ORDER BY {order}'})"


_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_NULL = r"'\xffffffff'::bytea"


def _field(expression: str, kind: str) -> str:
    if kind == "bytea":
        sized = f"int4send(octet_length({expression})) || {expression}"
        return f"coalesce({sized}, {_NULL})"
    size, send = _SENT[kind.removesuffix("?")]
    sized = f"{_bytes(size.to_bytes(4))} || {send}({expression})"
    return f"coalesce({sized}, {_NULL})" if kind.endswith("?") else sized


def _bytes(value: bytes) -> str:
    return rf"'\x{value.hex()}'::bytea"
