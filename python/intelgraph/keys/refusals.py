"""What a caller is told when a key cannot be had: what to do about it, and not where it is kept."""

from typing import Final

from intelgraph.errors import DataLoss, FailedPrecondition, IntelGraphError, PermissionDenied, Unavailable
from intelgraph.keys.provider import Denial, Denied, KeyFault, NotFound, Throttled, Unauthentic, Unreachable

RETRY_SECONDS: Final = 1.0

_DENIED: Final = {
    Denial.DENIED: "the tenant's key does not allow the gateway to use it",
    Denial.DISABLED: "the tenant's key is disabled",
    Denial.PENDING_DELETION: "the tenant's key is about to be deleted",
    Denial.DESTROYED: "the tenant's key is destroyed",
}


def refusal(fault: KeyFault) -> IntelGraphError:
    """The error that stands for a KMS's fault about a tenant."""
    match fault:
        case Denied(denial=denial):
            return PermissionDenied(
                "KEY_DENIED",
                _DENIED[denial],
                fix="ask the owner of the key to allow its use again in the KMS",
                metadata={"denial": denial.value},
            )
        case NotFound():
            return FailedPrecondition(
                "KEY_NOT_FOUND",
                "the KMS has no key for the tenant, or not the version that its keys were wrapped by",
                fix="restore the key in the KMS; for the local provider, restore the keyring from a backup",
            )
        case Unauthentic():
            return DataLoss(
                "KEY_ROW_CORRUPT",
                "the KMS does not recognise a wrapped tenant key",
                fix="restore the table tenant_key from a backup; somebody altered or moved a row",
            )
        case Unreachable(retry_after=seconds) | Throttled(retry_after=seconds):
            return key_unavailable(max(seconds, RETRY_SECONDS))
    raise AssertionError(f"{type(fault).__name__} has no refusal")


def key_unavailable(retry_after: float = RETRY_SECONDS) -> Unavailable:
    """The KMS cannot be asked now, and what it said before has run out."""
    return Unavailable(
        "KEY_UNAVAILABLE",
        "the tenant's key cannot be used now",
        fix="try again after the delay; if it lasts, see whether the KMS can be reached",
        retry_after=retry_after,
    )
