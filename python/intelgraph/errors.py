"""The one exception tree, and how it travels as `google.rpc.Status`.

Every refusal is raised as one of these and says what a person can do about it. None of its texts may carry a
value of a record or of a key: they name the record's index, the place, the rule and the fix.
`docs/errors.md` lists every reason.
"""

import logging
import traceback
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final, Self

import grpc
from google.rpc import error_details_pb2, status_pb2

ERROR_DOMAIN: Final = "intelgraph.dev"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One broken rule at one place: `pointer` is an RFC 6901 pointer, led by the record's index where there is
    one; `description` names the rule and what to do.
    """

    pointer: str
    description: str

    def __str__(self) -> str:
        return f"at {self.pointer or '(whole)'}: {self.description}"


class IntelGraphError(Exception):
    """An error with a reason that programs branch on and a fix that people read.

    `reason` is UPPER_SNAKE and stable; `code` is the gRPC code of the class; `metadata` holds what a program
    may need beside the reason; `retry_after` is in seconds and set only where a retry can help.
    """

    code: ClassVar[grpc.StatusCode]

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        fix: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: tuple[FieldViolation, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.fix = fix
        self.metadata = dict(metadata or {})
        self.violations = violations
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Callable[..., Self], tuple[str, str]]:
        """Crosses from one process to another."""
        rebuild = partial(
            type(self),
            fix=self.fix,
            metadata=self.metadata,
            violations=self.violations,
            retry_after=self.retry_after,
        )
        return rebuild, (self.reason, self.message)

    def __str__(self) -> str:
        fix = f" (fix: {self.fix})" if self.fix else ""
        violated = "".join(f"; {each}" for each in self.violations)
        return f"{self.reason}: {self.message}{fix}{violated}"


class InvalidArgument(IntelGraphError):
    """The request is wrong whatever the state of the gateway."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class FailedPrecondition(IntelGraphError):
    """The request is right, and the state of the gateway does not allow it."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class OutOfRange(IntelGraphError):
    """The request goes beyond what there is, for example a gap in a stream's sequence."""

    code = grpc.StatusCode.OUT_OF_RANGE


class NotFound(IntelGraphError):
    """There is no such thing for this tenant."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(IntelGraphError):
    """There is such a thing already, and it is another."""

    code = grpc.StatusCode.ALREADY_EXISTS


class Unauthenticated(IntelGraphError):
    """Who calls is unknown: no token or certificate, or one that does not hold."""

    code = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(IntelGraphError):
    """Who calls is known and may not."""

    code = grpc.StatusCode.PERMISSION_DENIED


class ResourceExhausted(IntelGraphError):
    """A limit of the tenant or of the gateway is reached."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Aborted(IntelGraphError):
    """Another won: start again from what is committed."""

    code = grpc.StatusCode.ABORTED


class Unavailable(IntelGraphError):
    """A part is away for now: the same call may succeed later."""

    code = grpc.StatusCode.UNAVAILABLE


class DataLoss(IntelGraphError):
    """What is stored does not hold what was stored."""

    code = grpc.StatusCode.DATA_LOSS


class Internal(IntelGraphError):
    """A defect of the gateway."""

    code = grpc.StatusCode.INTERNAL


def causes_of(error: BaseException) -> list[str]:
    """The types along the chain of causes, with the lines they came through, innermost first: fit for a log.

    The texts are left out: the text of a foreign library may quote what it choked on.
    """
    causes: list[str] = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        frames = traceback.extract_tb(cause.__traceback__)
        places = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
        causes.append(f"{type(cause).__qualname__} at {places or 'no line'}")
        cause = cause.__cause__ or cause.__context__
    return causes


def wrap_unexpected(error: BaseException) -> Internal:
    """Hides an exception that no one foresaw behind a correlation id; what it was goes to the log only."""
    correlation_id = uuid.uuid4().hex
    _log.error("unexpected error", extra={"correlation_id": correlation_id, "causes": causes_of(error)})
    return Internal(
        "INTERNAL",
        "internal error",
        fix="report the correlation id to the operator, who finds it in the gateway's log",
        metadata={"correlation_id": correlation_id},
    )


def to_status(error: BaseException) -> status_pb2.Status:
    """The error as `google.rpc.Status`: ErrorInfo always, BadRequest and RetryInfo where they apply."""
    if not isinstance(error, IntelGraphError):
        error = wrap_unexpected(error)
    status = status_pb2.Status(code=error.code.value[0], message=error.message)
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN, metadata=error.metadata)
    if error.fix:
        info.metadata["fix"] = error.fix
    status.details.add().Pack(info)
    if error.violations:
        request = error_details_pb2.BadRequest()
        for violation in error.violations:
            request.field_violations.add(field=violation.pointer, description=violation.description)
        status.details.add().Pack(request)
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(round(error.retry_after * 1e9))
        status.details.add().Pack(retry)
    return status
