"""Errors survive the wire, and broken connections are told from refusals."""

from __future__ import annotations

import grpc
import pytest

from intelgraph import errors
from intelgraph.client import DeadlineExceeded, UnknownError
from intelgraph.client.failures import from_rpc, from_status, is_transient
from intelgraph.errors import FieldViolation

KINDS = [kind for kind in errors.IntelGraphError.__subclasses__() if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_comes_back_as_itself(kind: type[errors.IntelGraphError]) -> None:
    sent = kind(
        "SOME_REASON",
        "what happened",
        fix="what to do",
        metadata={"limit": "5"},
        violations=(FieldViolation("/0/tailnum", "is required"),),
        retry_after=1.5,
    )
    received = from_status(errors.to_status(sent))
    assert type(received) is kind
    assert vars(received) == vars(sent)


def rpc_error(code: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (grpc.StatusCode.UNAVAILABLE, "failed to connect to all addresses"),
        (grpc.StatusCode.CANCELLED, "RST_STREAM"),
        (grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 2"),
        (grpc.StatusCode.UNKNOWN, "Stream removed"),
    ],
)
def test_a_broken_connection_is_worth_a_retry(code: grpc.StatusCode, details: str) -> None:
    failure = from_rpc(rpc_error(code, details))
    assert isinstance(failure, errors.Unavailable)
    assert is_transient(failure)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INTERNAL, errors.Internal),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
        (grpc.StatusCode.UNKNOWN, UnknownError),
        (grpc.StatusCode.PERMISSION_DENIED, errors.PermissionDenied),
    ],
)
def test_any_other_status_is_final(code: grpc.StatusCode, kind: type[errors.IntelGraphError]) -> None:
    failure = from_rpc(rpc_error(code, "no"))
    assert type(failure) is kind
    assert not is_transient(failure)


def test_a_status_of_another_domain_is_not_taken_for_the_gateways() -> None:
    status = errors.to_status(errors.Unavailable("PROXY", "no", retry_after=9.0))
    foreign = status.SerializeToString().replace(b"intelgraph.dev", b"intelgraph.not")
    error = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE,
        grpc.aio.Metadata(),
        grpc.aio.Metadata(("grpc-status-details-bin", foreign)),
        "no",
    )
    assert from_rpc(error).reason == "GATEWAY_UNREACHABLE"
