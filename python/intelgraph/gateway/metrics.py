"""Rate, errors and duration of RPCs, and the exposition of all metrics.

The names are those of go-grpc-prometheus, which dashboards know. With several workers every process writes
into the directory of PROMETHEUS_MULTIPROC_DIR, and any of them exposes the sums.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import grpc
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

# A second series for each, and missing with several workers.
disable_created_metrics()  # type: ignore[no-untyped-call] # the library leaves it untyped

_LABELS: Final = ("grpc_service", "grpc_method")
_STARTED: Final = Counter("grpc_server_started", "RPCs begun", _LABELS)
_HANDLED: Final = Counter("grpc_server_handled", "RPCs ended, by status code", (*_LABELS, "grpc_code"))
_SECONDS: Final = Histogram(
    "grpc_server_handling_seconds",
    "Time from the begin of an RPC to its end, in seconds; a stream's whole life",
    _LABELS,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0),
)
_IN_FLIGHT: Final = Gauge("grpc_server_in_flight", "RPCs that run", _LABELS, multiprocess_mode="livesum")


class Outcome:
    """The status that an RPC ends with."""

    code: grpc.StatusCode = grpc.StatusCode.OK


@contextmanager
def measured(path: str) -> Iterator[Outcome]:
    """Counts and times the RPC of `path`, `/package.Service/Method`; the block sets the outcome."""
    _, service, method = path.split("/", 2)
    outcome = Outcome()
    begun = time.perf_counter()
    _STARTED.labels(service, method).inc()
    in_flight = _IN_FLIGHT.labels(service, method)
    in_flight.inc()
    try:
        yield outcome
    finally:
        in_flight.dec()
        _HANDLED.labels(service, method, outcome.code.name).inc()
        _SECONDS.labels(service, method).observe(time.perf_counter() - begun)


def exposition() -> tuple[bytes, str]:
    """All metrics of the gateway's processes in the Prometheus text format, and its content type."""
    registry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # the library leaves it untyped
    return generate_latest(registry), CONTENT_TYPE_LATEST
