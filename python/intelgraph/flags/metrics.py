"""What operators see of flags."""

from typing import Final

from prometheus_client import Gauge

from intelgraph.flags.snapshot import Snapshot

_TENANTS: Final = Gauge(
    "intelgraph_flag_weakened_tenants",
    "Tenants that have set a flag to its weakened value for themselves",
    ("flag",),
    multiprocess_mode="livemax",
)
_SHARE: Final = Gauge(
    "intelgraph_flag_weakened_share",
    "Share of all tenants for which a flag has its weakened value, 0 to 1",
    ("flag",),
    multiprocess_mode="livemax",
)


def measure(snapshot: Snapshot) -> None:
    """Takes what is set now."""
    for flag, rule in snapshot.items():
        _TENANTS.labels(flag.value).set(sum(setting.weakened for setting in rule.settings.values()))
        _SHARE.labels(flag.value).set(rule.share.percent / 100)
