"""What operators see of approvals. No label names a tenant, so their number does not grow with the tenants'."""

from typing import Final

from prometheus_client import Gauge

# Every process counts the same rows: of several workers the last word holds, and is no sum.
WAITING: Final = Gauge(
    "intelgraph_approvals_waiting",
    "Requests that wait for their quorum, of all tenants, by kind",
    ("kind",),
    multiprocess_mode="livemostrecent",
)
OLDEST_SECONDS: Final = Gauge(
    "intelgraph_approvals_oldest_waiting_seconds",
    "Age of the oldest request that waits for its quorum, in seconds; 0 if none waits",
    multiprocess_mode="livemostrecent",
)
