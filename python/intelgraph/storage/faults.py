"""What a failure of PostgreSQL means to a caller.

A lost connection says nothing about a COMMIT that was under way: it may have happened. Whoever commits asks
the stream's position before writing the same again.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import asyncpg

from intelgraph.errors import (
    Aborted,
    DataLoss,
    FailedPrecondition,
    IntelGraphError,
    ResourceExhausted,
    Unavailable,
)

LEDGER_FORKED = "IG001"
"""SQLSTATE of migration 0003: the ledger's outbox takes no entry."""
RETRY_SECONDS = 1.0
DISK_RETRY_SECONDS = 15.0

_WAL_SEGMENT = 16 * 1024 * 1024


def storage_fault(error: Exception, *, volume: Path | None = None) -> IntelGraphError | None:
    """The error of the gateway that `error` stands for, or None if it is none of PostgreSQL's doing.

    `volume` is a directory on the disk of a local server: a server that cannot extend its log crashes and
    does not come up again, and only the disk can say why.
    """
    if isinstance(error, IntelGraphError):
        return None
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate == LEDGER_FORKED:
        return ledger_forked()
    for kinds, fault in _FAULTS:
        if isinstance(error, kinds):
            return fault()
    if isinstance(error, _GONE) or _closed(error):
        return _disk_full() if volume is not None and _full(volume) else _unavailable()
    return None


def is_transient(error: BaseException) -> bool:
    """Whether the same transaction may succeed soon, on another attempt. A full disk is not emptied soon."""
    if not isinstance(error, Exception):
        return False
    fault = error if isinstance(error, IntelGraphError) else storage_fault(error)
    return isinstance(fault, Unavailable | Aborted) and fault.reason.startswith("STORAGE_")


def ledger_forked() -> IntelGraphError:
    """The refusal of whatever needs an entry in a ledger that would fork."""
    return FailedPrecondition(
        "LEDGER_FORKED",
        "the ledger in the database is not the one that was signed, and nothing is appended to it; reads go on",
        fix="`intelgraph ledger checkpoint` says which index differs, `intelgraph ledger recover` what to do",
    )


def _disk_full() -> IntelGraphError:
    return ResourceExhausted(
        "DISK_FULL",
        "the disk of PostgreSQL is full",
        fix="make room on the volume of PostgreSQL's data directory",
        retry_after=DISK_RETRY_SECONDS,
    )


def _busy() -> IntelGraphError:
    return Unavailable(
        "STORAGE_BUSY",
        "PostgreSQL has too much to do",
        fix="try again; raise the number of connections, or spread the load, if it lasts",
        retry_after=RETRY_SECONDS,
    )


def _conflict() -> IntelGraphError:
    return Aborted(
        "STORAGE_CONFLICT",
        "another transaction was quicker",
        fix="try again",
        retry_after=RETRY_SECONDS,
    )


def _exhausted() -> IntelGraphError:
    return ResourceExhausted(
        "STORAGE_EXHAUSTED",
        "PostgreSQL has run out of memory or of another resource",
        fix="see PostgreSQL's log",
        retry_after=RETRY_SECONDS,
    )


def _corrupt() -> IntelGraphError:
    return DataLoss(
        "STORAGE_CORRUPT",
        "PostgreSQL finds a damaged page",
        fix="stop, and restore the database from a backup",
    )


def _unavailable() -> IntelGraphError:
    return Unavailable(
        "STORAGE_UNAVAILABLE",
        "PostgreSQL cannot be reached, or is restarting",
        fix="try again; if it lasts, see whether PostgreSQL runs",
        retry_after=RETRY_SECONDS,
    )


_Kinds = tuple[type[Exception], ...]

# The first that fits holds: a full disk is an insufficient resource, a cancelled query an intervention.
_FAULTS: tuple[tuple[_Kinds, Callable[[], IntelGraphError]], ...] = (
    ((asyncpg.DiskFullError,), _disk_full),
    ((asyncpg.TooManyConnectionsError, asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError), _busy),
    ((asyncpg.SerializationError, asyncpg.DeadlockDetectedError), _conflict),
    ((asyncpg.InsufficientResourcesError,), _exhausted),
    ((asyncpg.DataCorruptedError, asyncpg.IndexCorruptedError), _corrupt),
)

_GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutting down, starting up, recovering from a crash
    asyncpg.ReadOnlySQLTransactionError,  # a standby after a fail-over
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InternalClientError,  # the server's last word came between two operations; its end has not yet
    OSError,  # refused, reset, no socket yet; TimeoutError is one
)


def _closed(error: Exception) -> bool:
    # asyncpg has no type of its own for the use of a connection that is closed already, as by the rollback that
    # follows its loss, nor for one that its pool took back because the server had closed it.
    return isinstance(error, asyncpg.InterfaceError) and any(
        words in str(error) for words in ("closed", "released back to the pool")
    )


def _full(volume: Path) -> bool:
    try:
        return shutil.disk_usage(volume).free < _WAL_SEGMENT
    except OSError:
        return False
