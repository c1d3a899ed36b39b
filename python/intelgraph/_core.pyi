"""The whole Rust boundary. Bytes in, bytes out; calls that do more than look something up release the GIL.

What the core refuses is a CoreError: `args` are the message and the reason, UPPER_SNAKE.
"""

from collections.abc import Sequence
from typing import Literal, final

class CoreError(Exception):
    """What the core refuses. `args` are the message and the reason."""

class KeyUnavailable(CoreError):
    """A key is not loaded, its lease is over, or its budget is used up: authorise, load or refresh, try
    again.
    """

# -- keys: crates/py/src/keystore.rs and keyring.rs

@final
class Secret:
    """32 secret bytes. There is no way to read, copy or pickle them."""

@final
class Unlock:
    """What unlocks a keyring: there is no way to read it."""

    @staticmethod
    def passphrase(passphrase: bytes) -> Unlock:
        """Any bytes but none."""
    @staticmethod
    def key_file(content: bytes) -> Unlock:
        """32 random bytes."""

@final
class KekVersion:
    """One version of a tenant's key in a keyring, without the key."""

    @property
    def number(self) -> int:
        """From 1."""
    @property
    def state(self) -> Literal["enabled", "disabled", "destroyed"]: ...
    @property
    def created_us(self) -> int:
        """Microseconds since the Unix epoch."""

@final
class LocalKeyring:
    """A keyring file's content, unlocked. Errors are CoreError with a reason that begins with KEYRING, and
    for a tenant's key KeyUnavailable KEK_UNKNOWN, KEK_DISABLED or KEK_DESTROYED.
    """

    @staticmethod
    def create(unlock: Unlock) -> LocalKeyring:
        """An empty one that `unlock` will open. A passphrase costs one Argon2id run (64 MiB)."""
    @staticmethod
    def open(sealed: bytes, unlock: Unlock) -> LocalKeyring:
        """Opens a keyring file's bytes."""
    def seal(self) -> bytes:
        """The bytes of the keyring file, different each time."""
    def create_kek(self, tenant_id: bytes, created_us: int) -> int:
        """Makes a new version of the tenant's key; gives its number."""
    def versions(self, tenant_id: bytes) -> list[KekVersion]:
        """Oldest first; empty if the tenant has no key."""
    def enable(self, tenant_id: bytes, version: int) -> None: ...
    def disable(self, tenant_id: bytes, version: int) -> None: ...
    def destroy(self, tenant_id: bytes, version: int) -> None: ...
    def wrap(self, tenant_id: bytes, key_id: bytes, secret: Secret) -> bytes:
        """Wraps under the tenant's newest version; `key_id` is the context."""
    def unwrap(self, tenant_id: bytes, key_id: bytes, wrapped: bytes) -> Secret:
        """Unwraps what `wrap` gave in the same context. CoreError WRAPPED_KEY_MALFORMED or
        WRAPPED_KEY_NOT_AUTHENTIC for anything else.
        """

@final
class TenantKey:
    """A tenant key on its way to or from the KMS. Used up by `Keystore.add_tenant_key`."""

    @staticmethod
    def generate(tenant_id: bytes, created_us: int) -> TenantKey: ...
    @staticmethod
    def load(tenant_id: bytes, key_id: bytes, created_us: int, secret: Secret) -> TenantKey:
        """The key that the KMS unwrapped; uses the secret up. CoreError KEY_COMMITMENT_MISMATCH if it is not
        the key that `key_id` commits to.
        """
    @property
    def key_id(self) -> bytes:
        """16 bytes, a UUIDv8."""
    def secret(self) -> Secret:
        """A copy of its bytes, for the KMS to wrap."""

@final
class DataKeyRow:
    """A data key as it is stored; nothing in it is secret."""

    def __new__(cls, tenant_id: bytes, dek_id: bytes, suite: int, wrapped: bytes) -> DataKeyRow:
        """CoreError for parts of another form."""
    @property
    def dek_id(self) -> bytes:
        """32 bytes, the key's commitment."""
    @property
    def suite(self) -> int: ...
    @property
    def tenant_key_id(self) -> bytes:
        """16 bytes: the tenant key that wrapped it, as `wrapped` says."""
    @property
    def wrapped(self) -> bytes: ...

@final
class IndexKeyRow:
    """A tenant's index key as it is stored; nothing in it is secret."""

    def __new__(cls, tenant_id: bytes, index_key_id: bytes, wrapped: bytes) -> IndexKeyRow:
        """CoreError for parts of another form."""
    @property
    def index_key_id(self) -> bytes:
        """32 bytes, the key's commitment."""
    @property
    def tenant_key_id(self) -> bytes:
        """16 bytes: the tenant key that wrapped it, as `wrapped` says."""
    @property
    def wrapped(self) -> bytes: ...

@final
class PendingDek:
    """A data key that cannot seal yet: commit its row, then activate it."""

    @property
    def row(self) -> DataKeyRow: ...

@final
class PendingIndexKey:
    """An index key that is not in use yet: commit its row, then activate it."""

    @property
    def row(self) -> IndexKeyRow: ...

@final
class Keystore:
    """Keys of all tenants of a process, each tenant's under its lease. Without a live lease every method that
    needs one raises KeyUnavailable LEASE_EXPIRED. Tenants are 16 bytes; several ids are one after the other.
    """

    def __new__(
        cls,
        *,
        dek_messages: int = 5_000_000,
        dek_seconds: float = 900.0,
        tenant_key_seconds: float = 2_592_000.0,
    ) -> Keystore:
        """What a data key seals and for how long, and the age at which a tenant key is replaced."""
    @staticmethod
    def tick() -> int:
        """Now on the clock of the leases, in microseconds: one that goes on while the host is suspended."""
    def renew(self, tenant_id: bytes, authorised_at: int, ttl_us: int) -> int:
        """The KMS authorised the tenant, asked at that tick; the lease ends `ttl_us` after it. Gives its
        number. KeyUnavailable LEASE_AUTHORISATION_STALE if the tenant was denied since.
        """
    def revoke(self, tenant_id: bytes) -> None:
        """The KMS denied the tenant: drops and wipes everything of it."""
    def lease(self, tenant_id: bytes) -> int | None:
        """The number of the tenant's live lease."""
    def expire(self) -> list[bytes]:
        """Drops and wipes what belongs to leases that have run out; names the tenants of those it found."""
    def add_tenant_key(self, key: TenantKey) -> None: ...
    def missing_tenant_keys(self, tenant_id: bytes, key_ids: bytes) -> bytes:
        """Which of these (16 bytes each) are not loaded."""
    def tenant_key_due(self, tenant_id: bytes, unix_us: int) -> bool:
        """Whether the newest tenant key is too old at that time."""
    def seal_slot(self, tenant_id: bytes, messages: int) -> Literal["ready", "due", "spent", "unleased"]:
        """What a batch of so many messages finds: `due` is ready, and to be replaced soon; `spent` is no key,
        or none with that much left.
        """
    def generate_dek(self, tenant_id: bytes) -> PendingDek: ...
    def activate(self, pending: PendingDek) -> None:
        """Makes a data key whose row is committed the one that seals; what it seals opens at once."""
    def missing_deks(self, tenant_id: bytes, dek_ids: bytes) -> bytes:
        """Which of these (32 bytes each) must be loaded first; those found absent lately are left out."""
    def load_deks(self, rows: Sequence[DataKeyRow]) -> list[tuple[bytes, str]]:
        """Loads data keys; gives the id and the reason of each that does not load."""
    def deks_absent(self, tenant_id: bytes, dek_ids: bytes) -> None:
        """Remembers for 30 s that these (32 bytes each) do not exist."""
    def generate_index_key(self, tenant_id: bytes) -> PendingIndexKey: ...
    def activate_index_key(self, pending: PendingIndexKey) -> None: ...
    def load_index_key(self, row: IndexKeyRow) -> None: ...
