"""Permission policies. 120 to 129."""

from dataclasses import dataclass
from typing import ClassVar

from intelgraph.provenance.facts import Facts


@dataclass(frozen=True, slots=True)
class PolicyChanged(Facts):
    """A tenant put rules in force, or removed them."""

    KIND: ClassVar[str] = "policy.changed"
    NUMBER: ClassVar[int] = 120
    version: int
    revision: str
    """SHA-256 of the modules as they are stored, hexadecimal."""
    files: tuple[str, ...]
    """None where the rules were removed."""
