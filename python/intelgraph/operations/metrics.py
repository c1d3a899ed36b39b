"""What operators see of operations. No label names a tenant."""

from typing import Final

from prometheus_client import Counter, Gauge

WAITING: Final = Gauge(
    "intelgraph_operations_waiting",
    "Operations of all tenants that have not begun",
    multiprocess_mode="mostrecent",
)
RUNNING: Final = Gauge(
    "intelgraph_operations_running",
    "Operations of all tenants that have begun and are not at their end",
    multiprocess_mode="mostrecent",
)
OLDEST_SECONDS: Final = Gauge(
    "intelgraph_operations_oldest_seconds",
    "Age of the oldest operation that is not at its end, in seconds",
    multiprocess_mode="mostrecent",
)
STEPS: Final = Counter("intelgraph_operations_steps", "Steps that were committed", ("kind",))
YIELDS: Final = Counter(
    "intelgraph_operations_yields", "Times that an operation waited for live traffic to get faster", ("kind",)
)
ENDED: Final = Counter(
    "intelgraph_operations_ended",
    "Operations that this process ended, by their last state",
    ("kind", "state"),
)
