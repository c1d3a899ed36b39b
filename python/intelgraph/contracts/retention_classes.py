"""The classes of retention: how long the contract of a dataset has it kept."""

from collections.abc import Mapping
from typing import Final

HOLD: Final = "legal-hold"

DAYS: Final[Mapping[str, int | None]] = {
    "ephemeral-7d": 7,
    "short-30d": 30,
    "standard-365d": 365,
    "long-1825d": 1825,
    HOLD: None,
}
"""The days of each class, the shortest first; None where nothing is ever due."""

_CLASSES: Final = tuple(DAYS)


def is_shorter(retention_class: str, than: str) -> bool:
    """Whether the one class keeps for less long than the other."""
    return _CLASSES.index(retention_class) < _CLASSES.index(than)
