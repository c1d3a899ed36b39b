"""What the gateway asks of a KMS, and the answers it understands.

A provider wraps and unwraps *tenant keys* under the tenant's own key-encryption key (KEK). It is called with
batches, across tenants, and answers each item for itself: a `KeyFault` is a result, so that one tenant's
disabled key does not fail the others' renewals. A provider raises nothing, waits no longer than it is let
(it is cancelled), and never sees or returns key bytes: they travel as `Secret` handles.

What is wrapped is bound to its context, tenant and key id: unwrapping in another context is `Unauthentic`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol
from uuid import UUID

from intelgraph._core import Secret


@dataclass(frozen=True, slots=True)
class KeyContext:
    """Whose key is wrapped, and which."""

    tenant_id: UUID
    key_id: UUID


@dataclass(frozen=True, slots=True)
class WrapRequest:
    """A key to be wrapped by the newest version of its tenant's KEK."""

    context: KeyContext
    secret: Secret


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A wrapped key as the KMS gave it, and what wrapped it, by the KMS's own names."""

    wrapped: bytes
    kek_id: str
    kek_version: str


@dataclass(frozen=True, slots=True)
class UnwrapRequest:
    """What `Wrapped` held, to be unwrapped in the same context. For a key that travelled in an envelope its
    `kek_id` and `kek_version` are empty: it is to be the tenant's own KEK, whatever the version.
    """

    context: KeyContext
    wrapped: Wrapped


@dataclass(frozen=True, slots=True)
class KeyFault:
    """Why a KMS did not do what it was asked. `message` is for the log and holds no key, wrapped or not."""

    message: str


class Denial(Enum):
    """What a KMS denies with."""

    DENIED = "denied"
    """Its policy does not let the gateway use the key."""
    DISABLED = "disabled"
    PENDING_DELETION = "pending_deletion"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True)
class Denied(KeyFault):
    """The KMS answered no: everything that hangs on the key is to be dropped at once."""

    denial: Denial


@dataclass(frozen=True, slots=True)
class NotFound(KeyFault):
    """The KMS answered that there is no such KEK, or no such version of it."""


@dataclass(frozen=True, slots=True)
class Unauthentic(KeyFault):
    """The KMS answered that these bytes are nothing that it wrapped in this context."""


@dataclass(frozen=True, slots=True)
class Unreachable(KeyFault):
    """The KMS did not answer, or not in time. Says nothing about what it would have answered."""

    retry_after: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Throttled(KeyFault):
    """The KMS answered that it is asked too often."""

    retry_after: float
    """Seconds."""


class KekState(Enum):
    """What the newest version of a KEK may be used for."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    PENDING_DELETION = "pending_deletion"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True)
class KekDescription:
    """A tenant's KEK as the KMS describes it."""

    kek_id: str
    kek_version: str
    state: KekState


class KeyProvider(Protocol):
    """A KMS."""

    @property
    def name(self) -> str:
        """What `tenant_key.provider` says, for example `local`."""

    async def provision(self, tenant_id: UUID) -> KeyFault | None:
        """Makes a KEK for a tenant that has none, where the KMS is the gateway's own; elsewhere does nothing,
        because customers make theirs.

        Asked only for a tenant of which no wrapped key exists.
        """

    async def wrap(self, requests: Sequence[WrapRequest]) -> Sequence[Wrapped | KeyFault]:
        """One result for each request, in their order. The secrets stay the caller's."""

    async def unwrap(self, requests: Sequence[UnwrapRequest]) -> Sequence[Secret | KeyFault]:
        """One result for each request, in their order."""

    async def describe(self, tenant_id: UUID) -> KekDescription | KeyFault:
        """The newest version of the tenant's KEK. Not an authorisation: only `unwrap` is one."""

    async def close(self) -> None:
        """Lets go of connections."""
