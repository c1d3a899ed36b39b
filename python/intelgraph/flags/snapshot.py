"""What is set, and which value of a flag that means for a tenant.

A tenant's own setting wins over the share. Whether a tenant is in a share depends on nothing but its id and the flag's
name: every gateway finds the same, a share that grows takes no tenant out again, and the tenants that try one flag
first are not those that try every flag first.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Final
from uuid import UUID

from intelgraph.flags.table import FLAGS, Flag

_KEPT: Final = 1 << 16
"""Places that are remembered: of ten thousand tenants and more."""


@lru_cache(maxsize=_KEPT)
def place(flag: Flag, tenant_id: UUID) -> int:
    """Where a tenant stands among a hundred: it is in every share that is greater.

    The first eight bytes of SHA-256(flag ‖ 0 ‖ tenant id), as a big-endian number, modulo 100. It never changes: a
    share must mean the same tenants in every version.
    """
    digest = hashlib.sha256(flag.value.encode() + b"\0" + tenant_id.bytes).digest()
    return int.from_bytes(digest[:8]) % 100


@dataclass(frozen=True, slots=True)
class Change:
    """Who set something, when, and under which approval."""

    at: datetime
    by: str
    approval_id: UUID | None


@dataclass(frozen=True, slots=True)
class Share:
    """The share of all tenants, in percent, for which a flag has its weakened value."""

    percent: int = 0
    until: datetime | None = None
    """From then on it is 0."""
    changed: Change | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """What a tenant has set for itself."""

    weakened: bool
    until: datetime | None
    """From then on it is as if nothing were set."""
    changed: Change


class Reason(Enum):
    """Why a value holds."""

    DEFAULT = "default"
    SHARE = "share"
    TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class Effective:
    """The value of a flag that holds for a tenant."""

    flag: Flag
    weakened: bool
    reason: Reason
    until: datetime | None
    changed: Change | None

    @property
    def value(self) -> str:
        """As the flag calls it."""
        return FLAGS[self.flag].word(weakened=self.weakened)


def effective(flag: Flag, tenant_id: UUID, share: Share, setting: Setting | None) -> Effective:
    """What holds, of what is set."""
    if setting is not None:
        return Effective(flag, setting.weakened, Reason.TENANT, setting.until, setting.changed)
    if place(flag, tenant_id) < share.percent:
        return Effective(flag, True, Reason.SHARE, share.until, share.changed)
    return Effective(flag, False, Reason.DEFAULT, None, None)


@dataclass(frozen=True, slots=True)
class Rule:
    """One flag for all tenants."""

    share: Share = field(default_factory=Share)
    settings: Mapping[UUID, Setting] = field(default_factory=dict)

    def weakened(self, flag: Flag, tenant_id: UUID) -> bool:
        """Whether the weakened value holds for a tenant."""
        setting = self.settings.get(tenant_id)
        if setting is not None:
            return setting.weakened
        return self.share.percent > 0 and place(flag, tenant_id) < self.share.percent


Snapshot = Mapping[Flag, Rule]
"""All that is set, as it was at one moment."""

SAFE: Final[Snapshot] = {flag: Rule() for flag in Flag}
"""Nothing is set: every flag has its safe value for every tenant."""
