"""The names of the logs that one database has had. `a` is followed by `a/2`, that by `a/3`: each time two people
acknowledge that a signed log is given up, so that no two checkpoints of one size bear one name.
"""

from typing import Final

_FIRST_PARTS: Final = 2
"""Of the first name, which migration 0003 makes: product and identifier."""


def base_of(origin: str) -> str:
    """The name of the first log in the line."""
    return "/".join(origin.split("/")[:_FIRST_PARTS])


def generation_of(origin: str) -> int:
    """The place of a log in its line, from 1; 0 for what is no name of one."""
    rest = origin.split("/")[_FIRST_PARTS:]
    if not rest:
        return 1
    number = rest[0]
    is_number = len(rest) == 1 and number.isascii() and number.isdecimal() and str(int(number)) == number
    return int(number) if is_number and int(number) > 1 else 0


def next_origin(origin: str) -> str:
    """The name of the log that goes on in its place."""
    return f"{base_of(origin)}/{generation_of(origin) + 1}"


def precedes(origin: str, other: str) -> bool:
    """Whether a log of that name came before the other, in its line."""
    return base_of(origin) == base_of(other) and 0 < generation_of(origin) < generation_of(other)


def claimed_origin(note: bytes) -> str | None:
    """The log that a signed note says it is of, whoever signed it; None for what is no signed note."""
    try:
        text, separator, signatures = note.decode().partition("\n\n")
    except UnicodeDecodeError:
        return None
    if not separator or not signatures.startswith("\N{EM DASH} ") or not note.endswith(b"\n"):
        return None
    return text.split("\n", 1)[0]
