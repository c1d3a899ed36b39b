"""Work that opens stored values, with the keys that it needs at hand."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from intelgraph._core import CorruptData, KeyUnavailable
from intelgraph.errors import DataLoss
from intelgraph.keys.refusals import key_unavailable
from intelgraph.keys.service import KeyOwner

T = TypeVar("T")

ATTEMPTS: Final = 3
"""A lease may end, and a key be pushed out by others, between loading and opening."""


class OpeningKeys(Protocol):
    """What of the key service opening takes; see `KeyService`."""

    async def authorise(self, tenant: KeyOwner) -> None:
        """Makes sure of a live lease."""

    async def look_up(self, tenant: KeyOwner, dek_ids: bytes) -> bytes:
        """Loads those of these data keys (32 bytes each) that exist, and gives those that do not."""


class Unsealer:
    """Runs what opens stored values."""

    def __init__(self, keys: OpeningKeys) -> None:
        self._keys = keys

    async def run(self, tenant: KeyOwner, dek_ids: bytes, work: Callable[[], T]) -> T:
        """Runs `work` in a thread, with a live lease and these data keys (32 bytes each) loaded. Opening a
        value of a key that does not exist is then refused by the core, which knows whose value it is.

        Raises DataLoss DATA_CORRUPT for what was altered, and as `KeyService.authorise`.
        """
        for _ in range(ATTEMPTS):
            await self._keys.authorise(tenant)
            await self._keys.look_up(tenant, dek_ids)
            try:
                return await asyncio.to_thread(work)
            except KeyUnavailable:
                continue
            except CorruptData as error:
                raise data_corrupt(str(error.args[0]), *error.args[2:]) from None
        raise key_unavailable()


def data_corrupt(message: str, seq: int | None = None) -> DataLoss:
    """The refusal of what is stored and was not written so; `seq` names the change, where it is one."""
    return DataLoss(
        "DATA_CORRUPT",
        message,
        fix="`intelgraph log verify` names all that was altered; restore it from a backup",
        metadata={} if seq is None else {"seq": str(seq)},
    )
