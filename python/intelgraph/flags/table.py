"""The flags: a closed table, and the one place where a flag is added.

Each flag has two values. The safe one checks, or serves, everything; it is the default, and what holds wherever
nothing else is known. The other one weakens, and takes an approval.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from intelgraph.errors import InvalidArgument


class Flag(Enum):
    """The name of a flag, as it is stored."""

    CMK = "cmk"
    CONTRACTS = "contracts"
    TEMPORAL = "temporal"
    UPGRADE = "upgrade"


@dataclass(frozen=True, slots=True)
class FlagKind:
    """What a flag is."""

    flag: Flag
    safe: str
    weakened: str
    effect: str
    """What the weakened value does."""
    acts: bool
    """Whether this version acts on it. One that does not is stored, served and recorded only."""

    @property
    def name(self) -> str:
        """As people and the wire call it."""
        return self.flag.value

    def word(self, *, weakened: bool) -> str:
        """The value."""
        return self.weakened if weakened else self.safe

    def weakens(self, value: str) -> bool:
        """Whether the value is the weakened one. Raises InvalidArgument FLAG_VALUE_UNKNOWN for one it does not have."""
        if value not in (self.safe, self.weakened):
            raise InvalidArgument(
                "FLAG_VALUE_UNKNOWN",
                f"the flag {self.name} has no such value",
                fix=f"use {self.safe} or {self.weakened}; for a tenant also {UNSET}, to go by the share again",
            )
        return value == self.weakened


UNSET: Final = "default"
"""In the place of a value: what the tenant has set for itself is to be unset."""

FLAGS: Final[Mapping[Flag, FlagKind]] = {
    kind.flag: kind
    for kind in (
        FlagKind(
            Flag.CMK,
            safe="enforce",
            weakened="fallback",
            effect="while a tenant's key cannot be had, the platform's key seals in its place",
            acts=False,
        ),
        FlagKind(
            Flag.CONTRACTS,
            safe="enforce",
            weakened="warn",
            effect="a record that breaks its contract is stored with its report, if its key and its event time can be"
            " formed; else it waits in quarantine",
            acts=True,
        ),
        FlagKind(
            Flag.TEMPORAL,
            safe="on",
            weakened="off",
            effect="as-of reads, History, Diff and Changes are not answered; the log and ingest go on",
            acts=True,
        ),
        FlagKind(
            Flag.UPGRADE,
            safe="on",
            weakened="skip",
            effect="an upgrade passes over the tenant",
            acts=False,
        ),
    )
}
"""Every flag."""


def flag_of(name: str) -> FlagKind:
    """The flag of that name. Raises InvalidArgument FLAG_UNKNOWN."""
    try:
        return FLAGS[Flag(name)]
    except ValueError:
        raise InvalidArgument(
            "FLAG_UNKNOWN",
            "there is no such flag",
            fix=f"use one of {', '.join(flag.value for flag in FLAGS)}",
        ) from None
