"""Flags. 110 to 119."""

from dataclasses import dataclass
from typing import ClassVar

from intelgraph.provenance.facts import Facts


@dataclass(frozen=True, slots=True)
class FlagChanged(Facts):
    """A flag has another value, for a tenant or for a share of all."""

    KIND: ClassVar[str] = "flag.changed"
    NUMBER: ClassVar[int] = 110
    flag: str
    scope: str
    """`tenant`, which the header names, or `share`."""
    before: str
    """What was set, in words."""
    after: str
    """What is set, in words."""
    share: int | None
    """Percent of all tenants that has the weakened value."""
    until_us: int | None
    """When it ends by itself."""
    weakens: bool
    approval_id: str | None
    """The approval that was used up for it."""


@dataclass(frozen=True, slots=True)
class FlagEnded(Facts):
    """What weakened a flag was over: its time had come."""

    KIND: ClassVar[str] = "flag.ended"
    NUMBER: ClassVar[int] = 111
    flag: str
    scope: str
    """`tenant`, which the header names, or `share`."""
    value: str
    """The value that it had until then."""
    share: int | None
    """Percent of all tenants that had it."""
