"""The keys of all tenants of a process: there when a batch needs them, gone when the KMS says so.

    keys = KeyService(keystore, provider, database, settings, on_revoked=engine.forget_unleased)
    await keys.authorise(tenant)                 # a live lease, with tenant key and index key
    await keys.ensure_seal_slot(tenant, 512)     # a data key that seals so many more values
    await keys.load(tenant, dek_ids)             # data keys that open
    await keys.close()

Everything hangs on the tenant's lease. It is got and renewed by having the KMS unwrap a key, lasts five
minutes by default and never slides, so that this is how long, at most, a key works on after its owner
disabled it. A no of the KMS drops everything of the tenant at once; no answer at all lets the lease run to
its end, and beyond it for as long as the tenant's `stale_if_unreachable` allows.

Each method returns without waiting for anything where there is nothing to be done.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

from intelgraph._core import Keystore
from intelgraph.errors import DataLoss
from intelgraph.keys import metrics
from intelgraph.keys.custody import Custody
from intelgraph.keys.kms import Kms
from intelgraph.keys.leases import Leases
from intelgraph.keys.open_keys import DEK_ID_BYTES, OpenKeys
from intelgraph.keys.recorder import KeyRecorder
from intelgraph.keys.refusals import key_unavailable
from intelgraph.keys.seal_slots import SealSlots
from intelgraph.keys.single_flight import SingleFlight
from intelgraph.keys.travelling_keys import TravellingKeys, WrappedKeys

if TYPE_CHECKING:
    from intelgraph.keys.provider import KeyProvider
    from intelgraph.keys.settings import KeySettings
    from intelgraph.storage.database import Database

UPKEEP_SECONDS: Final = 1.0
_FILLS: Final = 3
"""Data keys that one call makes at most, while others use up what it made."""
_MICROS: Final = 1_000_000

_log = logging.getLogger(__name__)


class KeyOwner(Protocol):
    """A tenant, as far as its keys are concerned."""

    @property
    def tenant_id(self) -> UUID:
        """Its id."""

    @property
    def name(self) -> str:
        """Its name, for the log."""


def keystore_of(settings: "KeySettings") -> Keystore:
    """An empty keystore with the limits of the settings."""
    return Keystore(
        dek_messages=settings.dek_messages,
        dek_seconds=settings.dek_seconds,
        tenant_key_seconds=settings.tenant_key_days * 86_400,
    )


class KeyService:
    """Made in the event loop that uses it; takes the provider over. See the module's docstring."""

    def __init__(
        self,
        keystore: Keystore,
        provider: "KeyProvider",
        database: "Database",
        settings: "KeySettings",
        on_revoked: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_revoked` is called whenever a tenant's lease has ended, for whatever reason: whoever holds
        plaintext of tenants drops that of those who have none.
        """
        self._keystore = keystore
        self._settings = settings
        self._kms = Kms(provider, settings.kms_timeout_seconds)
        self._leases = Leases(keystore, self._kms, database, settings, on_revoked)
        self._seal_slots = SealSlots(keystore, database)
        self._open_keys = OpenKeys(keystore, database, self._leases)
        self._travelling = TravellingKeys(keystore, database, self._leases)
        self._custodies: dict[UUID, Custody] = {}
        self._establishing = SingleFlight()
        self._renewing = SingleFlight()
        self._upkeep = asyncio.create_task(self._keep_up(), name="key service")

    def record_with(self, recorder: KeyRecorder) -> None:
        """Has keys that are made from now on entered in the ledger."""
        self._leases.recorder = recorder
        self._seal_slots.recorder = recorder

    async def authorise(self, tenant: KeyOwner) -> None:
        """Makes sure of a live lease with the newest tenant key and the index key loaded. A tenant's first
        time makes them. Once for all who ask at the same time.

        Raises PermissionDenied KEY_DENIED, FailedPrecondition KEY_NOT_FOUND, Unavailable KEY_UNAVAILABLE,
        DataLoss KEY_ROW_CORRUPT or KEY_ROWS_LOST, and what the database raises.
        """
        custody = self._custody(tenant)
        if self._is_live(custody):
            metrics.LEASE_HELD.inc()
            return
        metrics.LEASE_FETCHED.inc()
        await self._establishing.join(custody, lambda: self._leases.establish(custody))

    async def ensure_seal_slot(self, tenant: KeyOwner, messages: int) -> None:
        """Makes sure that a batch of so many messages can be sealed now, as far as one can know before it
        reserves them. Normally that is so, because data keys are replaced ahead of need.

        Raises as `authorise`.
        """
        custody = self._custody(tenant)
        custody.messages_asked += messages
        for fills in range(_FILLS + 1):
            slot = self._keystore.seal_slot(custody.core_id, messages)
            if slot in {"ready", "due"}:
                if slot == "due":
                    self._seal_slots.refill_ahead(custody)
                if not fills:
                    metrics.SEAL_HELD.inc()
                return
            if not fills:
                metrics.SEAL_FETCHED.inc()
            if fills == _FILLS:
                break
            await self.authorise(tenant)
            await self._seal_slots.fill(custody)
        raise key_unavailable()

    async def load(self, tenant: KeyOwner, dek_ids: bytes) -> None:
        """Loads the data keys (32 bytes each) that stored values were sealed under.

        Raises as `authorise`, and DataLoss DATA_KEY_LOST if there is no row of one.
        """
        absent = await self.look_up(tenant, dek_ids)
        if absent:
            raise DataLoss(
                "DATA_KEY_LOST",
                f"there is no data key {absent[:DEK_ID_BYTES].hex()}, and values are sealed under it",
                fix="restore the table data_key from a backup",
                metadata={"dek_id": absent[:DEK_ID_BYTES].hex()},
            )

    async def look_up(self, tenant: KeyOwner, dek_ids: bytes) -> bytes:
        """Loads those of these data keys that exist, and gives those that do not: for envelopes that came
        from elsewhere. Raises as `authorise`.
        """
        if not dek_ids:
            metrics.OPEN_HELD.inc()
            return b""
        metrics.OPEN_FETCHED.inc()
        await self.authorise(tenant)
        return await self._open_keys.load(self._custody(tenant), dek_ids)

    async def keys_to_travel(self, tenant: KeyOwner, dek_id: bytes) -> WrappedKeys:
        """The wrapped keys for an envelope sealed under this data key, which seals here or has just sealed.

        Raises as `authorise`.
        """
        await self.authorise(tenant)
        return await self._travelling.of(self._custody(tenant), dek_id)

    async def load_travelled(self, tenant: KeyOwner, keys: Iterable[tuple[bytes, bytes]]) -> None:
        """Loads tenant keys (id, wrapped) that came in envelopes, those that the tenant's KMS unwraps.

        Raises as `authorise`, and ResourceExhausted TRAVELLING_KEYS_TOO_MANY.
        """
        await self.authorise(tenant)
        await self._travelling.load(self._custody(tenant), keys)

    async def close(self) -> None:
        """Stops renewing. What is held is held to the end of its leases, as long as the keystore lives."""
        self._upkeep.cancel()
        await asyncio.gather(self._upkeep, return_exceptions=True)
        await self._establishing.close()
        await self._renewing.close()
        await self._seal_slots.close()
        await self._kms.close()

    def _custody(self, tenant: KeyOwner) -> Custody:
        custody = self._custodies.get(tenant.tenant_id)
        if custody is None:
            custody = Custody(tenant.tenant_id, tenant.name)
            self._custodies[tenant.tenant_id] = custody
        custody.used_at = time.monotonic()
        return custody

    def _is_live(self, custody: Custody) -> bool:
        return custody.lease is not None and self._keystore.lease(custody.core_id) == custody.lease

    # -- once a second -------------------------------------------------------------------------------------

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(UPKEEP_SECONDS)
            try:
                self._tick()
            except Exception:
                _log.exception("upkeep of keys failed")

    def _tick(self) -> None:
        """Wipes what has run out, and has what is in use renewed. Renewing takes its time elsewhere: wiping
        does not wait for it.
        """
        self._leases.sweep(self._custodies.values())
        used_since = time.monotonic() - self._settings.idle_seconds
        idle = [each for each in self._custodies.values() if each.used_at < used_since and each.lease is None]
        for custody in idle:
            del self._custodies[custody.tenant_id]
        now = Keystore.tick()
        live = [each for each in self._custodies.values() if each.lease is not None]
        due = [each for each in live if each.renew_at <= now and each.used_at >= used_since]
        if due:
            self._renewing.start("all", lambda: self._renew(due))
        self._measure(live, now)

    async def _renew(self, due: list[Custody]) -> None:
        await self._leases.renew(due)
        for custody in due:
            if custody.lease is not None and not custody.failing:
                await self._leases.replace_tenant_key_if_due(custody)

    def _measure(self, live: list[Custody], now: int) -> None:
        used_since = time.monotonic() - self._settings.idle_seconds
        in_use = [each for each in live if each.used_at >= used_since]
        remaining = min((each.ends_at - now for each in in_use), default=None)
        asked = max((each.messages_asked for each in in_use), default=0)
        metrics.LEASES.set(len(live))
        metrics.LEASE_REMAINING.set(
            self._settings.lease_seconds if remaining is None else max(remaining, 0) / _MICROS
        )
        metrics.DEK_BUDGET_LEFT.set(max(0.0, 1 - asked / self._settings.dek_messages))
