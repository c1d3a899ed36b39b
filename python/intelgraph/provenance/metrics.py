"""What the ledger tells Prometheus."""

from typing import Final

from prometheus_client import Counter, Gauge

SIZE: Final = Gauge(
    "intelgraph_ledger_size", "Entries of the log that a checkpoint covers.", multiprocess_mode="max"
)
SEQUENCED: Final = Counter("intelgraph_ledger_sequenced_total", "Entries that this process gave an index.")
FORKED: Final = Gauge(
    "intelgraph_ledger_forked",
    "1 while the log in the database is not the one that was signed.",
    multiprocess_mode="max",
)
