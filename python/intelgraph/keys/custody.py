"""What the process remembers of a tenant whose keys it holds. Nothing secret: the keystore holds that."""

import asyncio
import time
from dataclasses import dataclass, field
from uuid import UUID

from intelgraph._core import DataKeyRow
from intelgraph.errors import IntelGraphError
from intelgraph.keys.key_rows import TenantKeyRow


@dataclass(slots=True, eq=False)
class Custody:
    """One tenant's. Ticks are microseconds of the keystore's clock; other times are monotonic seconds."""

    tenant_id: UUID
    tenant_name: str
    lease: int | None = None
    """The lease under which the newest tenant key and the index key are loaded, if they are."""
    authorised_at: int = 0
    """Tick just before the KMS was last asked and said yes."""
    ends_at: int = 0
    """Tick at which the lease ends."""
    renew_at: int = 0
    """Tick from which the lease is renewed."""
    used_at: float = 0.0
    tenant_keys: dict[UUID, TenantKeyRow] = field(default_factory=dict)
    """Rows of the tenant keys that are loaded."""
    travelled_keys: dict[UUID, TenantKeyRow] = field(default_factory=dict)
    """Tenant keys that are loaded, came in envelopes and have no row."""
    sealing: DataKeyRow | None = None
    """The data key that seals."""
    failing: bool = False
    """Whether the last renewal failed."""
    refused: IntelGraphError | None = None
    """What the KMS's last no was answered with; repeated until `refused_until` without asking again."""
    refused_until: float = 0.0
    refused_keys: dict[UUID, tuple[IntelGraphError, float]] = field(default_factory=dict)
    """The same for tenant keys other than the newest."""
    messages_asked: int = 0
    """Messages that batches asked of the data key that seals."""
    replace_after: float = 0.0
    """Not before, a data key is replaced ahead of need: the last attempt failed."""
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while data keys are loaded, so that batches which miss the same ones fetch them once."""

    @property
    def name(self) -> str:
        """Its tenant's name: who owns the keys, in the ledger."""
        return self.tenant_name

    @property
    def core_id(self) -> bytes:
        """The tenant as the core names it."""
        return self.tenant_id.bytes

    def refuse(self, error: IntelGraphError, seconds: float) -> None:
        """Has the same answer given for so long."""
        self.refused, self.refused_until = error, time.monotonic() + seconds

    def raise_if_refused(self) -> None:
        """Raises what the KMS's last no was answered with, while it is to be repeated."""
        if self.refused is not None and time.monotonic() < self.refused_until:
            raise self.refused.with_traceback(None)

    def end(self) -> None:
        """Forgets what belonged to the lease."""
        self.lease = None
        self.failing = False
        self.sealing = None
        self.tenant_keys.clear()
        self.travelled_keys.clear()
        self.refused_keys.clear()
        self.messages_asked = 0
        self.replace_after = 0.0
