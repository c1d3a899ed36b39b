"""`google.rpc.Status` and broken connections as typed errors.

A status of the gateway carries `ErrorInfo` of the domain `intelgraph.dev` and says whether a retry helps:
UNAVAILABLE, or `RetryInfo`. A status without it was made up on the way, by gRPC or a proxy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import grpc
from google.rpc import error_details_pb2, status_pb2

from intelgraph import errors
from intelgraph.errors import ERROR_DOMAIN, FieldViolation, IntelGraphError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.any_pb2 import Any as PackedAny

_Detail = TypeVar(
    "_Detail", error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo
)


_STATUS_KEY: Final = "grpc-status-details-bin"


class DeadlineExceeded(IntelGraphError):
    """The answer did not come within the deadline of the call."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class Unimplemented(IntelGraphError):
    """The gateway does not know the method: it is older than this client, or something else."""

    code = grpc.StatusCode.UNIMPLEMENTED


class UnknownError(IntelGraphError):
    """The other side failed without saying why."""

    code = grpc.StatusCode.UNKNOWN


_CLASSES: Final[dict[grpc.StatusCode, type[IntelGraphError]]] = {
    kind.code: kind
    for kind in (
        errors.Aborted,
        errors.AlreadyExists,
        errors.DataLoss,
        errors.FailedPrecondition,
        errors.Internal,
        errors.InvalidArgument,
        errors.NotFound,
        errors.OutOfRange,
        errors.PermissionDenied,
        errors.ResourceExhausted,
        errors.Unauthenticated,
        errors.Unavailable,
        DeadlineExceeded,
        Unimplemented,
        UnknownError,
    )
}
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


def from_status(status: status_pb2.Status) -> IntelGraphError:
    """The typed error that the gateway's status stands for."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    reason = code.name
    metadata: dict[str, str] = {}
    violations: list[FieldViolation] = []
    retry_after: float | None = None
    for detail in status.details:
        if info := _unpacked(detail, error_details_pb2.ErrorInfo):
            reason = info.reason
            metadata = dict(info.metadata)
        elif request := _unpacked(detail, error_details_pb2.BadRequest):
            violations += [FieldViolation(v.field, v.description) for v in request.field_violations]
        elif retry := _unpacked(detail, error_details_pb2.RetryInfo):
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    return _CLASSES.get(code, UnknownError)(
        reason=reason,
        message=status.message,
        fix=metadata.pop("fix", ""),
        metadata=metadata,
        violations=tuple(violations),
        retry_after=retry_after,
    )


def from_rpc(error: grpc.aio.AioRpcError) -> IntelGraphError:
    """The typed error of a call that failed, by the gateway's word or on the way."""
    return _typed(error.code(), error.details() or "", error.trailing_metadata())


def connection_lost(details: str) -> Unavailable:
    """The connection ended without a word from the gateway."""
    return Unavailable(reason="CONNECTION_LOST", message=details, fix="connect again")


def is_transient(error: IntelGraphError) -> bool:
    """Whether the same call may succeed later without anyone doing anything."""
    return isinstance(error, Unavailable) or error.retry_after is not None


def _typed(
    code: grpc.StatusCode, details: str, trailing: Iterable[tuple[str, str | bytes]]
) -> IntelGraphError:
    status = _own_status(trailing)
    if status is not None:
        return from_status(status)
    if code is grpc.StatusCode.UNAVAILABLE:
        return Unavailable(
            reason="GATEWAY_UNREACHABLE",
            message=details,
            fix="check that the gateway is running and that address and TLS options are right",
        )
    if _is_broken_connection(code, details):
        return connection_lost(details)
    return _CLASSES.get(code, UnknownError)(reason=code.name, message=details, fix="")


def _is_broken_connection(code: grpc.StatusCode, details: str) -> bool:
    # How gRPC reports a reset by the peer differs with the HTTP/2 error code and with what it was doing.
    return (
        code is grpc.StatusCode.CANCELLED
        or (code is grpc.StatusCode.INTERNAL and "RST_STREAM" in details)
        or (code is grpc.StatusCode.UNKNOWN and "Stream removed" in details)
    )


def _own_status(trailing: Iterable[tuple[str, str | bytes]]) -> status_pb2.Status | None:
    for key, value in trailing:
        if key == _STATUS_KEY and isinstance(value, bytes):
            status = status_pb2.Status.FromString(value)
            if any(_is_own_info(detail) for detail in status.details):
                return status
    return None


def _is_own_info(detail: PackedAny) -> bool:
    info = _unpacked(detail, error_details_pb2.ErrorInfo)
    return info is not None and info.domain == ERROR_DOMAIN


def _unpacked(detail: PackedAny, kind: type[_Detail]) -> _Detail | None:
    message = kind()
    return message if detail.Unpack(message) else None
