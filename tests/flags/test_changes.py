"""A change weakens if anybody, at any time, is let through more than before; what it does it says in words."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intelgraph.errors import InvalidArgument
from intelgraph.flags.changes import FlagChange, ShareChange, State, TenantChange, document
from intelgraph.flags.snapshot import Change, Setting, Share, effective
from intelgraph.flags.table import FLAGS, UNSET, Flag, FlagKind
from intelgraph.tenants.limits import TenantLimits
from intelgraph.tenants.registry import Tenant, TenantState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ENDS = [None, *(NOW + timedelta(hours=hours) for hours in (1, 2, 3))]
KIND = FLAGS[Flag.CONTRACTS]
SOMEBODY = Change(NOW, "test", None)
TENANTS = [UUID(int=number) for number in range(25)]


def tenant(tenant_id: UUID) -> Tenant:
    return Tenant(tenant_id, "acme", TenantState.ACTIVE, TenantLimits(), NOW)


@st.composite
def states(draw: st.DrawFn) -> State:
    percent = draw(st.sampled_from((0, 10, 50, 90, 100)))
    share = Share(percent, draw(st.sampled_from(ENDS)) if percent else None, SOMEBODY)
    weakened = draw(st.none() | st.booleans())
    if weakened is None:
        return State(share)
    return State(share, Setting(weakened, draw(st.sampled_from(ENDS)) if weakened else None, SOMEBODY))


@st.composite
def tenant_changes(draw: st.DrawFn) -> TenantChange:
    weakened = draw(st.none() | st.booleans())
    until = draw(st.sampled_from(ENDS)) if weakened else None
    return TenantChange(KIND, tenant(draw(st.sampled_from(TENANTS))), weakened, until)


@st.composite
def share_changes(draw: st.DrawFn) -> ShareChange:
    share = draw(st.sampled_from((0, 10, 50, 90, 100)))
    return ShareChange(KIND, share, draw(st.sampled_from(ENDS)) if share else None)


def weakened_at(state: State, tenant_id: UUID, moment: datetime) -> bool:
    """As it will be then, if nobody changes anything."""
    share, setting = state.share, state.setting
    if share.until is not None and share.until <= moment:
        share = Share()
    if setting is not None and setting.until is not None and setting.until <= moment:
        setting = None
    return effective(KIND.flag, tenant_id, share, setting).weakened


def applied(change: FlagChange, state: State) -> State:
    if isinstance(change, ShareChange):
        return State(Share(change.share, change.until, SOMEBODY), state.setting)
    assert isinstance(change, TenantChange)
    own = None if change.weakened is None else Setting(change.weakened, change.until, SOMEBODY)
    return State(state.share, own)


MOMENTS = [NOW + timedelta(minutes=30 + 60 * hours) for hours in range(5)]


@given(tenant_changes(), states())
def test_no_change_of_a_tenant_lets_it_through_more_unnoticed(change: TenantChange, state: State) -> None:
    after = applied(change, state)
    tenant_id = change.tenant.tenant_id
    opened = any(
        weakened_at(after, tenant_id, moment) and not weakened_at(state, tenant_id, moment)
        for moment in MOMENTS
    )
    # Where the share alone weakens at the moment of the change, unsetting is judged by that moment.
    assert change.weakens(state) or not opened or change.weakened is None
    if (
        change.weakened is None
        and weakened_at(after, tenant_id, NOW)
        and not weakened_at(state, tenant_id, NOW)
    ):
        assert change.weakens(state)
    if change.weakened is False:
        assert not change.weakens(state)


@given(share_changes(), states())
def test_no_change_of_a_share_lets_anybody_through_more_unnoticed(change: ShareChange, state: State) -> None:
    before, after = State(state.share), State(applied(change, state).share)
    opened = any(
        weakened_at(after, tenant_id, moment) and not weakened_at(before, tenant_id, moment)
        for moment in MOMENTS
        for tenant_id in TENANTS
    )
    assert change.weakens(state) or not opened
    if change.share == 0:
        assert not change.weakens(state)


@given(tenant_changes() | share_changes(), states())
def test_what_changes_nothing_weakens_nothing(change: FlagChange, state: State) -> None:
    after = applied(change, state)
    assert not change.changes(after)
    assert not change.weakens(after)
    if not change.changes(state):
        assert after.share.percent == state.share.percent
        assert not change.weakens(state)


def test_the_document_says_from_what_to_what_for_whom_and_until_when() -> None:
    acme = tenant(TENANTS[0])
    until = NOW + timedelta(days=1)
    assert document(TenantChange.of(KIND, acme, "warn", until), State(Share())) == {
        "flag": "contracts",
        "before": "enforce by default",
        "after": "warn until 2026-01-02T00:00:00Z",
        "tenant": "acme",
        "share_percent": None,
    }
    everybody = State(Share(100, None, SOMEBODY))
    assert document(TenantChange.of(KIND, acme, "warn", None), everybody)["before"] == "warn by share"
    assert document(ShareChange.of(KIND, "warn", 50, None), State(Share(10, until, SOMEBODY))) == {
        "flag": "contracts",
        "before": "warn for 10 % of tenants until 2026-01-02T00:00:00Z",
        "after": "warn for 50 % of tenants",
        "tenant": None,
        "share_percent": 50,
    }
    assert (
        document(ShareChange.of(KIND, "warn", 10, None), State(Share()))["before"]
        == "enforce for all tenants"
    )
    assert (
        document(ShareChange.of(KIND, "warn", 100, None), State(Share()))["after"] == "warn for all tenants"
    )


@pytest.mark.parametrize("kind", FLAGS.values(), ids=lambda kind: kind.name)
def test_values_are_the_flags_own(kind: FlagKind) -> None:
    acme = tenant(TENANTS[0])
    assert TenantChange.of(kind, acme, kind.safe, None).weakened is False
    assert TenantChange.of(kind, acme, kind.weakened, None).weakened is True
    assert TenantChange.of(kind, acme, UNSET, None).weakened is None
    assert ShareChange.of(kind, kind.safe, 100, None) == ShareChange(kind, 0)
    for refused, reason in (
        (lambda: TenantChange.of(kind, acme, "sometimes", None), "FLAG_VALUE_UNKNOWN"),
        (lambda: ShareChange.of(kind, UNSET, 10, None), "FLAG_VALUE_UNKNOWN"),
        (lambda: ShareChange.of(kind, kind.safe, 50, None), "FLAG_SHARE_INVALID"),
        (lambda: ShareChange.of(kind, kind.weakened, 101, None), "FLAG_SHARE_INVALID"),
        (lambda: ShareChange.of(kind, kind.weakened, 0, NOW), "FLAG_UNTIL_MISPLACED"),
        (lambda: TenantChange.of(kind, acme, kind.safe, NOW), "FLAG_UNTIL_MISPLACED"),
        (lambda: TenantChange.of(kind, acme, UNSET, NOW), "FLAG_UNTIL_MISPLACED"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            refused()
        assert caught.value.reason == reason
