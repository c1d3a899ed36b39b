"""What all kinds of ledger entries have in common."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Facts:
    """The typed payload of one kind of entry.

    A kind is a frozen dataclass below this one, in `kinds`. Its fields are text, integers within ±2^53, truth values,
    tuples of text, or None: what RFC 8785 writes in one way only.
    """

    KIND: ClassVar[str]
    """Its name, `area.what_happened`. Part of what is committed to: it never changes."""
    NUMBER: ClassVar[int]
    """What stands for it in the database. Never given twice."""
    ERASABLE: ClassVar[bool] = False
    """Whether an entry of it may be erased: it may name a person, and nothing is held against what it says."""
