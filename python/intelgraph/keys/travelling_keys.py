"""Wrapped keys that travel in an envelope, so that it can be opened where no key table knows it.

The envelope carries its data key, wrapped by a tenant key, and that, wrapped by the tenant's KEK. Whoever may
use the tenant's KEK opens it.
"""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from intelgraph._core import Keystore, KeyUnavailable
from intelgraph.errors import DataLoss, FailedPrecondition, PermissionDenied, ResourceExhausted
from intelgraph.keys import key_rows
from intelgraph.keys.custody import Custody
from intelgraph.keys.key_rows import TenantKeyRow
from intelgraph.keys.leases import Leases
from intelgraph.keys.provider import Wrapped
from intelgraph.keys.refusals import key_unavailable

if TYPE_CHECKING:
    from intelgraph.storage.database import Database

MAX_TRAVELLED: Final = 16
"""Foreign tenant keys that are held of one tenant: each costs a KMS call at every renewal."""


@dataclass(frozen=True, slots=True)
class WrappedKeys:
    """What an envelope carries to be opened elsewhere. Nothing in it is secret."""

    dek: bytes
    tenant_key: bytes


class TravellingKeys:
    """Gives envelopes their keys, and takes keys from envelopes."""

    def __init__(self, keystore: Keystore, database: "Database", leases: Leases) -> None:
        self._keystore = keystore
        self._database = database
        self._leases = leases

    async def of(self, custody: Custody, dek_id: bytes) -> WrappedKeys:
        """The wrapped keys of a data key that seals here, or has just sealed.

        Raises DataLoss KEY_ROW_CORRUPT, Unavailable KEY_UNAVAILABLE.
        """
        row = custody.sealing
        if row is None or row.dek_id != dek_id:
            async with self._database.read(custody.tenant_id) as connection:
                rows = await key_rows.data_keys(connection, custody.tenant_id, [dek_id])
            if not rows:
                raise key_rows.row_corrupt("data_key", dek_id, "there is no such row")
            row = rows[0]
        tenant_key = custody.tenant_keys.get(UUID(bytes=row.tenant_key_id))
        if tenant_key is None:
            raise key_unavailable()  # the lease that it was loaded under has ended
        return WrappedKeys(row.wrapped, tenant_key.wrapped.wrapped)

    async def load(self, custody: Custody, keys: Iterable[tuple[bytes, bytes]]) -> None:
        """Loads tenant keys that envelopes carry (id, wrapped), as far as the KMS lets: from the tenant's own
        rows where there are any. What is not loaded does not open, and says so itself.

        Raises Unavailable KEY_UNAVAILABLE, ResourceExhausted TRAVELLING_KEYS_TOO_MANY.
        """
        carried = {UUID(bytes=key_id): wrapped for key_id, wrapped in keys}
        try:
            missing = self._keystore.missing_tenant_keys(
                custody.core_id, b"".join(key_id.bytes for key_id in carried)
            )
            wanted = [UUID(bytes=missing[at : at + 16]) for at in range(0, len(missing), 16)]
            if wanted:
                await self._load(custody, {key_id: carried[key_id] for key_id in wanted})
        except KeyUnavailable as error:
            raise key_unavailable() from error

    async def _load(self, custody: Custody, carried: dict[UUID, bytes]) -> None:
        async with self._database.read(custody.tenant_id) as connection:
            own = await key_rows.tenant_keys_named(connection, custody.tenant_id, carried)
        for row in own:
            del carried[row.key_id]
        foreign = [
            TenantKeyRow(custody.tenant_id, key_id, Wrapped(wrapped, "", ""), None)
            for key_id, wrapped in carried.items()
        ]
        if len(custody.travelled_keys) + len(foreign) > MAX_TRAVELLED:
            raise ResourceExhausted(
                "TRAVELLING_KEYS_TOO_MANY",
                f"the envelopes carry more than {MAX_TRAVELLED} tenant keys that are not known here",
                fix="open fewer envelopes of other systems at a time",
                metadata={"limit": str(MAX_TRAVELLED)},
            )
        # One that is denied, or altered, is not to keep the other envelopes shut.
        with contextlib.suppress(PermissionDenied, FailedPrecondition, DataLoss):
            await self._leases.load_tenant_keys(custody, [row.key_id.bytes for row in own])
        await self._leases.load_travelled_keys(custody, foreign)
