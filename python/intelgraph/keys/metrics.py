"""What operators see of keys. No label names a tenant, so their number does not grow with the tenants'."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

KMS_SECONDS: Final = Histogram(
    "intelgraph_kms_seconds",
    "Time that the KMS took for one call, in seconds",
    ("provider", "operation", "outcome"),
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
DENIALS: Final = Counter(
    "intelgraph_key_denials",
    "Times that the KMS denied a tenant and all that was held of the tenant was dropped",
    ("provider", "denial"),
)
LEASES: Final = Gauge("intelgraph_key_leases", "Tenants whose keys are held", multiprocess_mode="livesum")
LEASE_REMAINING: Final = Gauge(
    "intelgraph_key_lease_remaining_seconds",
    "Time until the first lease of a tenant in use ends, in seconds; a whole lease if none is in use",
    multiprocess_mode="livemin",
)
DEK_BUDGET_LEFT: Final = Gauge(
    "intelgraph_dek_budget_left_ratio",
    "Least share of messages that a data key in use has left; what batches asked for counts as used",
    multiprocess_mode="livemin",
)

_REQUESTS: Final = Counter(
    "intelgraph_key_requests",
    "Requests for keys, by what for (lease, seal, open) and how they were met (held, fetched)",
    ("purpose", "met"),
)
# Bound once: looking a label up costs more than counting.
LEASE_HELD: Final = _REQUESTS.labels("lease", "held")
LEASE_FETCHED: Final = _REQUESTS.labels("lease", "fetched")
SEAL_HELD: Final = _REQUESTS.labels("seal", "held")
SEAL_FETCHED: Final = _REQUESTS.labels("seal", "fetched")
OPEN_HELD: Final = _REQUESTS.labels("open", "held")
OPEN_FETCHED: Final = _REQUESTS.labels("open", "fetched")
