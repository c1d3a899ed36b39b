"""Data keys to seal with: made, committed, and only then used; replaced before they are used up."""

import logging
import time
from typing import TYPE_CHECKING, Final

from intelgraph._core import Keystore, KeyUnavailable
from intelgraph.errors import IntelGraphError
from intelgraph.keys import key_rows
from intelgraph.keys.custody import Custody
from intelgraph.keys.platform import PLATFORM
from intelgraph.keys.recorder import KeyRecorder
from intelgraph.keys.refusals import key_unavailable
from intelgraph.keys.single_flight import SingleFlight

if TYPE_CHECKING:
    from intelgraph.storage.database import Database

PAUSE_SECONDS: Final = 1.0
"""Between attempts to replace a key ahead of need."""

_log = logging.getLogger(__name__)


class SealSlots:
    """The data key that each tenant seals with."""

    def __init__(self, keystore: Keystore, database: "Database") -> None:
        self._keystore = keystore
        self._database = database
        self.recorder: KeyRecorder | None = None
        """Who is told of each new key."""
        self._flights = SingleFlight()

    async def fill(self, custody: Custody) -> None:
        """Gives the tenant a new data key, once for all who wait.

        Raises Unavailable KEY_UNAVAILABLE if its lease ended meanwhile, and what the database raises.
        """
        await self._flights.join(custody, lambda: self._replace(custody))

    def refill_ahead(self, custody: Custody) -> None:
        """The same in the background, for a tenant that can still seal."""
        if time.monotonic() >= custody.replace_after:
            self._flights.start(custody, lambda: self._replace_ahead(custody))

    async def close(self) -> None:
        """Gives up on what is under way: what is committed and never used does no harm."""
        await self._flights.close()

    async def _replace(self, custody: Custody) -> None:
        recorder, is_tenants = self.recorder, custody.tenant_id != PLATFORM.tenant_id
        if recorder is not None and is_tenants:
            await recorder.ready()
        try:
            pending = self._keystore.generate_dek(custody.core_id)
            async with self._database.write() as connection:
                await key_rows.add_data_key(connection, custody.tenant_id, pending.row)
                if recorder is not None and is_tenants:
                    await recorder.data_key_created(connection, custody, pending.row, custody.sealing)
            self._keystore.activate(pending)
        except KeyUnavailable as error:
            raise key_unavailable() from error
        custody.sealing = pending.row
        custody.messages_asked = 0
        _log.debug(
            "data key in use", extra={"tenant": custody.tenant_name, "dek_id": pending.row.dek_id.hex()}
        )
        if recorder is not None and not is_tenants:
            await recorder.platform_keys_changed()

    async def _replace_ahead(self, custody: Custody) -> None:
        try:
            await self._replace(custody)
        except Exception as error:
            custody.replace_after = time.monotonic() + PAUSE_SECONDS
            why = error.reason if isinstance(error, IntelGraphError) else type(error).__name__
            _log.warning(
                "data key not replaced ahead of need", extra={"tenant": custody.tenant_name, "why": why}
            )
            raise
