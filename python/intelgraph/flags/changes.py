"""Changes of flags: what they say, whether they weaken, and the document that an approval of one binds to."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from intelgraph.errors import InvalidArgument
from intelgraph.flags.snapshot import Reason, Setting, Share, effective
from intelgraph.flags.table import UNSET, FlagKind
from intelgraph.tenants.registry import Tenant

APPROVAL_KIND = "flag.change"


@dataclass(frozen=True, slots=True)
class State:
    """What is set of a flag before a change: its share, and what the tenant that it is about has set."""

    share: Share
    setting: Setting | None = None


class FlagChange(Protocol):
    """A change, as far as it can be told from what is set now."""

    @property
    def kind(self) -> FlagKind:
        """The flag."""

    @property
    def tenant(self) -> Tenant | None:
        """Whom it is about; None for a share of all."""

    @property
    def weakened(self) -> bool | None:
        """Whether it sets the weakened value; None where it unsets what the tenant has set."""

    @property
    def share(self) -> int | None:
        """The share that it sets."""

    @property
    def until(self) -> datetime | None:
        """When it ends by itself."""

    def before(self, state: State) -> str:
        """What is set, in words."""

    @property
    def after(self) -> str:
        """What will be set, in words."""

    def changes(self, state: State) -> bool:
        """Whether anything will be another than it is."""

    def weakens(self, state: State) -> bool:
        """Whether more will be let through than is now, for more tenants, or for longer."""


def document(change: FlagChange, state: State) -> dict[str, Any]:
    """What an approval of the change binds to. It says from what it leads away: a plan of yesterday's state is void."""
    return {
        "flag": change.kind.name,
        "before": change.before(state),
        "after": change.after,
        "tenant": change.tenant.name if change.tenant is not None else None,
        "share_percent": change.share,
    }


@dataclass(frozen=True, slots=True)
class TenantChange:
    """What a tenant sets for itself; `weakened` is None where it unsets what it has set."""

    kind: FlagKind
    tenant: Tenant
    weakened: bool | None
    until: datetime | None = None

    @property
    def share(self) -> None:
        """It is about one tenant."""

    @classmethod
    def of(cls, kind: FlagKind, tenant: Tenant, value: str, until: datetime | None) -> "TenantChange":
        """The change to a value. Raises InvalidArgument FLAG_VALUE_UNKNOWN or FLAG_UNTIL_MISPLACED."""
        weakened = None if value == UNSET else kind.weakens(value)
        if until is not None and not weakened:
            raise _until_misplaced(kind)
        return cls(kind, tenant, weakened, until)

    def before(self, state: State) -> str:
        """What holds for the tenant, and why."""
        now = effective(self.kind.flag, self.tenant.tenant_id, state.share, state.setting)
        why = {Reason.DEFAULT: " by default", Reason.SHARE: " by share", Reason.TENANT: ""}[now.reason]
        return f"{now.value}{why}{_until(now.until)}"

    @property
    def after(self) -> str:
        """What will be set."""
        word = UNSET if self.weakened is None else self.kind.word(weakened=self.weakened)
        return f"{word}{_until(self.until)}"

    def changes(self, state: State) -> bool:
        """Whether the tenant's own setting will be another."""
        if state.setting is None or self.weakened is None:
            return (state.setting is None) != (self.weakened is None)
        return (self.weakened, self.until) != (state.setting.weakened, state.setting.until)

    def weakens(self, state: State) -> bool:
        """A setting of one's own weakens even where the share does: it outlasts the share."""
        if self.weakened is None:
            alone = effective(self.kind.flag, self.tenant.tenant_id, state.share, None)
            return alone.weakened and state.setting is not None and not state.setting.weakened
        if not self.weakened:
            return False
        own = state.setting
        return own is None or not own.weakened or _outlasts(self.until, own.until)


@dataclass(frozen=True, slots=True)
class ShareChange:
    """The share of all tenants that has the weakened value."""

    kind: FlagKind
    share: int
    until: datetime | None = None

    @property
    def tenant(self) -> None:
        """It is about all of them."""

    @property
    def weakened(self) -> bool:
        """Whether any tenant has the weakened value then."""
        return self.share > 0

    @classmethod
    def of(cls, kind: FlagKind, value: str, share: int, until: datetime | None) -> "ShareChange":
        """The change to a share.

        Raises InvalidArgument FLAG_VALUE_UNKNOWN, FLAG_SHARE_INVALID or FLAG_UNTIL_MISPLACED.
        """
        if not 0 <= share <= 100:
            raise _share_invalid(f"a share is from 0 to 100 percent, not {share}", kind)
        if not kind.weakens(value):
            if share != 100:
                raise _share_invalid(f"a share says how many tenants have the value {kind.weakened}", kind)
            share = 0
        if until is not None and share == 0:
            raise _until_misplaced(kind)
        return cls(kind, share, until)

    def before(self, state: State) -> str:
        """The share that has the weakened value."""
        return self._said(state.share.percent, state.share.until)

    @property
    def after(self) -> str:
        """The share that will have it."""
        return self._said(self.share, self.until)

    def changes(self, state: State) -> bool:
        """Whether the share or its end will be another."""
        return (self.share, self.until) != (state.share.percent, state.share.until)

    def weakens(self, state: State) -> bool:
        """Whether it reaches more tenants, or lasts longer."""
        if self.share == 0:
            return False
        return self.share > state.share.percent or _outlasts(self.until, state.share.until)

    def _said(self, percent: int, until: datetime | None) -> str:
        if percent == 0:
            return f"{self.kind.safe} for all tenants"
        whom = "all tenants" if percent == 100 else f"{percent} % of tenants"
        return f"{self.kind.weakened} for {whom}{_until(until)}"


def _outlasts(until: datetime | None, before: datetime | None) -> bool:
    return before is not None and (until is None or until > before)


def _until(until: datetime | None) -> str:
    return "" if until is None else f" until {until.astimezone(UTC).isoformat().replace('+00:00', 'Z')}"


def _until_misplaced(kind: FlagKind) -> InvalidArgument:
    return InvalidArgument(
        "FLAG_UNTIL_MISPLACED",
        f"only the value {kind.weakened} of the flag {kind.name} can end by itself: {kind.safe} is what it returns to",
        fix="leave the end out",
    )


def _share_invalid(what: str, kind: FlagKind) -> InvalidArgument:
    return InvalidArgument(
        "FLAG_SHARE_INVALID",
        what,
        fix=f"use {kind.weakened} with a share of 10, 50 or 100, or of 0 for none; or {kind.safe} without a share",
    )
