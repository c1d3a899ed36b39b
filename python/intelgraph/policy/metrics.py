"""What operators see of tenants' rules. No label names a tenant; the log does."""

from typing import Final

from prometheus_client import Counter

CLOSED: Final = Counter(
    "intelgraph_policy_closed_total",
    "Times that rules of a tenant were closed for a while, by why: slow, or stuck where they cannot be stopped",
    ("why",),
)
