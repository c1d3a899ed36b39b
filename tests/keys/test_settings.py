"""Settings of keys: what does not fit together is refused."""

import pytest
from pydantic import ValidationError

from intelgraph.keys.service import keystore_of
from intelgraph.keys.settings import KeySettings


def test_the_defaults_are_those_of_the_design() -> None:
    settings = KeySettings()
    assert (settings.provider, settings.lease_seconds, settings.stale_if_unreachable) == ("local", 300, 0)
    assert (settings.dek_messages, settings.dek_seconds, settings.tenant_key_days) == (5_000_000, 900, 30)
    keystore_of(settings)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"lease_seconds": 5}, "greater than or equal to 10"),
        ({"lease_seconds": 20, "kms_timeout_seconds": 5}, "too long for lease_seconds"),
        ({"dek_messages": (1 << 24) + 1}, "less than or equal to 16777216"),
        ({"tenant_key_days": 31}, "less than or equal to 30"),
        ({"stale_if_unreachable_of": {"acme": -1}}, "acme"),
        ({"provider": "none"}, "local"),
        ({"leases": 1}, "leases"),
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, object], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        KeySettings.model_validate(wrong)


def test_staleness_is_each_tenants_own() -> None:
    settings = KeySettings(stale_if_unreachable=10, stale_if_unreachable_of={"acme": 0})
    assert (settings.staleness_of("acme"), settings.staleness_of("other")) == (0, 10)
