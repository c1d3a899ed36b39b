"""Appends to the ledger, in the transaction of the act that an entry is about.

    async with database.write() as connection:
        ...                                                    # the act
        await ledger.append(connection, ContractPublished(...), subject=..., by=actor, tenant=tenant)

If that commits, the entry exists; if it does not, there is none. The sequencer gives it its index a moment later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias
from uuid import UUID

import orjson

from intelgraph._core import Keystore, KeyUnavailable, seal_ledger_entries
from intelgraph.keys.platform import PLATFORM
from intelgraph.keys.refusals import key_unavailable
from intelgraph.provenance import log_rows

if TYPE_CHECKING:
    from intelgraph.keys.service import KeyService
    from intelgraph.provenance.actor import Actor
    from intelgraph.provenance.facts import Facts
    from intelgraph.storage.connection import Connection

ATTEMPTS: Final = 3
"""A lease may end, and a key be used up by others, between getting it ready and using it."""

_New: TypeAlias = tuple[tuple[bytes, str] | None, tuple[int, str], str, tuple[str, str], bytes]

_SEALED_PER_ENTRY: Final = 2
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class EntryTenant(Protocol):
    """A tenant, as far as its entries are concerned."""

    @property
    def tenant_id(self) -> UUID:
        """Its id."""

    @property
    def name(self) -> str:
        """Its name."""


@dataclass(frozen=True, slots=True)
class Act:
    """What one entry says. Without a tenant it is an act of the platform."""

    facts: "Facts"
    subject: str
    """What it is about, as `area:name`, for example `contract:flights@1.0.0`."""
    by: "Actor"
    tenant: EntryTenant | None


class Ledger:
    """Writes entries into the outbox."""

    def __init__(self, keystore: Keystore, keys: "KeyService") -> None:
        self._keystore = keystore
        self._keys = keys

    async def ready(self, entries: int = 1) -> None:
        """Makes sure that so many entries can be sealed at once: to be called before a transaction that will hold a
        tenant's clock row, for then nothing but PostgreSQL may be waited for.

        Raises as `KeyService.authorise`.
        """
        await self._keys.ensure_seal_slot(PLATFORM, _SEALED_PER_ENTRY * entries)

    async def append(
        self,
        connection: "Connection",
        facts: "Facts",
        *,
        subject: str,
        by: "Actor",
        tenant: EntryTenant | None,
        while_forked: bool = False,
    ) -> UUID:
        """Writes one entry and gives its id. Raises as `append_all`."""
        acts = [Act(facts, subject, by, tenant)]
        (entry_id,) = await self.append_all(connection, acts, while_forked=while_forked)
        return UUID(bytes=entry_id)

    async def append_all(
        self,
        connection: "Connection",
        acts: Sequence[Act],
        at_us: int | None = None,
        *,
        while_forked: bool = False,
    ) -> Sequence[bytes]:
        """Writes entries, in order, and gives their ids, 16 bytes each; `at_us` is the database's time where the caller
        has read it. What is done about a fork of the ledger, or only takes something from whom it could harm, is
        entered `while_forked` too, and gets its index afterwards.

        Raises FailedPrecondition LEDGER_FORKED, and as `KeyService.authorise`.
        """
        if not acts:
            return []
        if at_us is None:
            now: datetime = await connection.fetchval("SELECT clock_timestamp()")
            at_us = (now - _EPOCH) // timedelta(microseconds=1)
        ids, packed = await self._sealed(at_us, [_new(act) for act in acts])
        if while_forked:
            await connection.execute("SELECT set_config('intelgraph.about_fork', 'on', true)")
        await log_rows.put_into_outbox(connection, len(ids), packed)
        if while_forked:
            await connection.execute("SELECT set_config('intelgraph.about_fork', 'off', true)")
        return ids

    async def _sealed(self, at_us: int, entries: Sequence[_New]) -> tuple[Sequence[bytes], bytes]:
        for _ in range(ATTEMPTS):
            await self.ready(len(entries))
            try:
                return seal_ledger_entries(self._keystore, PLATFORM.tenant_id.bytes, at_us, entries)
            except KeyUnavailable:
                continue
        raise key_unavailable()


def _new(act: Act) -> _New:
    tenant = act.tenant
    return (
        None if tenant is None else (tenant.tenant_id.bytes, tenant.name),
        (act.facts.NUMBER, act.facts.KIND),
        act.subject,
        (act.by.subject, act.by.method),
        orjson.dumps(act.facts),
    )
