"""Spans around what takes time: RPCs, statements, calls of a key provider.

Nothing is traced, and nothing imported, until `enable` is called with the optional extra `otel` installed. A
span carries names and sizes, never a value of a record or of a key.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Tracer

_tracer: "Tracer | None" = None


def enable(endpoint: str, *, processor: "SpanProcessor | None" = None) -> "TracerProvider":
    """Sends spans to an OTLP/gRPC collector, `https://…` or, without TLS, `http://…`; or to `processor`.

    The caller shuts the returned provider down, which sends what is left. Raises ModuleNotFoundError without
    the extra `otel`.
    """
    global _tracer  # noqa: PLW0603 - one tracer per process, set once at start
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(
        resource=Resource.create({"service.name": "intelgraph-gateway"}), shutdown_on_exit=False
    )
    provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    _tracer = provider.get_tracer("intelgraph")
    return provider


@contextmanager
def span(name: str, **attributes: str | int) -> Iterator[None]:
    """Traces the block as a child of the span that runs."""
    if _tracer is None:
        yield
        return
    with _tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=True
    ):
        yield


@contextmanager
def remote_span(name: str, metadata: Mapping[str, str], **attributes: str | int) -> Iterator[None]:
    """Traces the block as a child of the caller's span (W3C Trace Context in `metadata`)."""
    if _tracer is None:
        yield
        return
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    with _tracer.start_as_current_span(
        name,
        context=TraceContextTextMapPropagator().extract(metadata),
        kind=SpanKind.SERVER,
        attributes=attributes,
        record_exception=False,
    ):
        yield
