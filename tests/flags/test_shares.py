"""Which tenants a share means: for ever the same, and more of them the greater it is."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from intelgraph.flags.snapshot import Change, Reason, Rule, Setting, Share, effective, place
from intelgraph.flags.table import FLAGS, Flag, flag_of

_SOMEBODY = Change(datetime(2026, 1, 1, tzinfo=UTC), "test", None)


def test_a_tenant_never_changes_its_place() -> None:
    # Computed apart from this code, with sha256sum.
    tenant = UUID("00112233-4455-6677-8899-aabbccddeeff")
    assert {flag: place(flag, tenant) for flag in Flag} == {
        Flag.CMK: 82,
        Flag.CONTRACTS: 62,
        Flag.TEMPORAL: 75,
        Flag.UPGRADE: 49,
    }


@given(st.uuids(), st.sampled_from(list(Flag)), st.integers(0, 100), st.integers(0, 100))
def test_a_share_that_grows_takes_nobody_out(tenant: UUID, flag: Flag, one: int, other: int) -> None:
    smaller, greater = sorted((one, other))
    if Rule(Share(smaller)).weakened(flag, tenant):
        assert Rule(Share(greater)).weakened(flag, tenant)
    assert not Rule(Share(0)).weakened(flag, tenant)
    assert Rule(Share(100)).weakened(flag, tenant)


def test_a_share_means_about_so_many_tenants_and_others_for_each_flag() -> None:
    tenants = [UUID(int=number) for number in range(4000)]
    reached = {flag: {t for t in tenants if Rule(Share(10)).weakened(flag, t)} for flag in Flag}
    for each in reached.values():
        assert 320 < len(each) < 480
    assert len(reached[Flag.CONTRACTS] & reached[Flag.TEMPORAL]) < 90


@given(st.uuids(), st.sampled_from(list(Flag)), st.integers(0, 100), st.none() | st.booleans())
def test_what_a_tenant_has_set_wins(tenant: UUID, flag: Flag, percent: int, own: bool | None) -> None:
    setting = None if own is None else Setting(own, None, _SOMEBODY)
    rule = Rule(Share(percent), {} if setting is None else {tenant: setting})
    now = effective(flag, tenant, rule.share, setting)
    assert now.weakened == rule.weakened(flag, tenant)
    if own is not None:
        assert (now.weakened, now.reason) == (own, Reason.TENANT)
    else:
        assert now.reason is (Reason.SHARE if now.weakened else Reason.DEFAULT)
    kind = FLAGS[flag]
    assert now.value == (kind.weakened if now.weakened else kind.safe)


def test_the_table_is_the_one_that_was_decided() -> None:
    values = {
        name: (flag_of(name).safe, flag_of(name).weakened)
        for name in ("cmk", "contracts", "temporal", "upgrade")
    }
    assert values == {
        "cmk": ("enforce", "fallback"),
        "contracts": ("enforce", "warn"),
        "temporal": ("on", "off"),
        "upgrade": ("on", "skip"),
    }
    assert {flag.value for flag, kind in FLAGS.items() if kind.acts} == {"contracts", "temporal"}
