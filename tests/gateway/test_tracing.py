"""Traces: a span per RPC, below the caller's, and nothing at all unless it is turned on."""

import asyncio
import sys
from collections.abc import Iterator

import grpc
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from intelgraph import tracing
from intelgraph.errors import NotFound
from intelgraph.gateway.v1 import entity_pb2, entity_pb2_grpc
from tests.gateway.served import Served, bearer
from tests.gateway.token_issuer import TokenIssuer

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What is traced."""
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(tracing, "_tracer", None)
    provider = tracing.enable("http://127.0.0.1:9", processor=SimpleSpanProcessor(exporter))
    yield exporter
    provider.shutdown()


async def get(channel: grpc.aio.Channel, issuer: TokenIssuer) -> None:
    metadata = (*bearer(issuer.mint()), ("traceparent", f"00-{TRACE}-{CALLER}-01"))
    await entity_pb2_grpc.EntityServiceStub(channel).Get(entity_pb2.GetRequest(), metadata=metadata)


async def test_rpc_is_a_child_of_the_callers_span(
    spans: InMemorySpanExporter, channel: grpc.aio.Channel, issuer: TokenIssuer
) -> None:
    await get(channel, issuer)
    (rpc,) = spans.get_finished_spans()
    assert rpc.name == "intelgraph.gateway.v1.EntityService/Get"
    assert rpc.kind is SpanKind.SERVER
    assert rpc.context is not None
    assert rpc.parent is not None
    assert f"{rpc.context.trace_id:032x}" == TRACE
    assert f"{rpc.parent.span_id:016x}" == CALLER


async def test_spans_nest_and_do_not_quote_errors(
    spans: InMemorySpanExporter, served: Served, channel: grpc.aio.Channel, issuer: TokenIssuer
) -> None:
    served.entities.failure = NotFound("ENTITY_NOT_FOUND", "hunter2")
    with pytest.raises(grpc.aio.AioRpcError):
        await get(channel, issuer)
    async with asyncio.timeout(10):
        while not spans.get_finished_spans():  # noqa: ASYNC110 (the caller may know before the span has ended)
            await asyncio.sleep(0.01)
    (rpc,) = spans.get_finished_spans()
    assert rpc.status.status_code is StatusCode.ERROR
    assert "hunter2" not in rpc.to_json()


def test_inner_span(spans: InMemorySpanExporter) -> None:
    with tracing.span("outer"), tracing.span("inner", batches=3):
        pass
    inner, outer = spans.get_finished_spans()
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id
    assert dict(inner.attributes or {}) == {"batches": 3}


def test_nothing_is_traced_by_default() -> None:
    assert tracing._tracer is None
    with tracing.span("one"), tracing.remote_span("two", {"traceparent": f"00-{TRACE}-{CALLER}-01"}):
        pass


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ModuleNotFoundError):
        tracing.enable("http://127.0.0.1:9")
