"""Leases: got, renewed and ended on the word of the KMS, and on nothing else.

A lease is granted when the KMS has unwrapped the tenant's newest tenant key, counts from the moment before it
was asked, and never slides with use. Renewing one asks the KMS again, for a key of every KEK version that a
loaded key depends on: a version that was disabled takes the lease with it, whatever the newest one says.
"""

import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from intelgraph._core import CoreError, IndexKeyRow, Keystore, KeyUnavailable, Secret, TenantKey
from intelgraph.errors import DataLoss, FailedPrecondition, IntelGraphError, PermissionDenied
from intelgraph.keys import key_rows
from intelgraph.keys.custody import Custody
from intelgraph.keys.key_rows import TenantKeyRow, row_corrupt
from intelgraph.keys.kms import Kms
from intelgraph.keys.metrics import DENIALS
from intelgraph.keys.platform import PLATFORM
from intelgraph.keys.provider import (
    Denied,
    KeyContext,
    KeyFault,
    NotFound,
    Throttled,
    Unreachable,
    WrapRequest,
)
from intelgraph.keys.recorder import KeyRecorder
from intelgraph.keys.refusals import key_unavailable, refusal
from intelgraph.storage import change_log

if TYPE_CHECKING:
    from intelgraph.keys.settings import KeySettings
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database

DENIED_SECONDS: Final = 5.0
"""How long a denial is repeated to callers without asking the KMS again."""
NOT_FOUND_SECONDS: Final = 30.0
"""The same for a KEK that does not exist."""

_MICROS: Final = 1_000_000
_random = random.SystemRandom()
_log = logging.getLogger(__name__)


class Leases:
    """Grants and ends the leases of all tenants of a process."""

    def __init__(
        self,
        keystore: Keystore,
        kms: Kms,
        database: "Database",
        settings: "KeySettings",
        on_ended: Callable[[], None],
    ) -> None:
        self._keystore = keystore
        self._kms = kms
        self._database = database
        self._settings = settings
        self._on_ended = on_ended
        self.recorder: KeyRecorder | None = None
        """Who is told of each KEK version that comes into use."""
        self._ttl_us = round(settings.lease_seconds * _MICROS)

    # -- getting one ---------------------------------------------------------------------------------------

    async def establish(self, custody: Custody) -> None:
        """Gets the tenant a lease, with its newest tenant key and its index key; makes what it never had.

        Raises PermissionDenied KEY_DENIED, FailedPrecondition KEY_NOT_FOUND, Unavailable KEY_UNAVAILABLE,
        DataLoss KEY_ROW_CORRUPT or KEY_ROWS_LOST, and what the database raises.
        """
        custody.raise_if_refused()
        try:
            await self._establish(custody)
        except KeyUnavailable as error:
            raise key_unavailable() from error  # the lease ended meanwhile
        except PermissionDenied as error:
            custody.refuse(error, DENIED_SECONDS)
            raise
        except FailedPrecondition as error:
            custody.refuse(error, NOT_FOUND_SECONDS)
            raise

    async def load_tenant_keys(self, custody: Custody, key_ids: Iterable[bytes]) -> None:
        """Loads those of these tenant keys that are not, under the tenant's lease. Raises as `establish`."""
        missing = self._keystore.missing_tenant_keys(custody.core_id, b"".join(key_ids))
        if not missing:
            return
        wanted = {UUID(bytes=missing[at : at + 16]) for at in range(0, len(missing), 16)}
        for key_id in wanted & custody.refused_keys.keys():
            error, until = custody.refused_keys[key_id]
            if time.monotonic() < until:
                raise error.with_traceback(None)
        async with self._database.read(custody.tenant_id) as connection:
            rows = await key_rows.tenant_keys_named(connection, custody.tenant_id, wanted)
        for lost in wanted - {row.key_id for row in rows}:
            raise row_corrupt("tenant_key", lost.bytes, "there is no such row")
        await self._load_rows(custody, rows)

    async def load_travelled_keys(self, custody: Custody, rows: Sequence[TenantKeyRow]) -> None:
        """Loads tenant keys that came in envelopes, those that the KMS unwraps: it says no to a forged one,
        and that ends nothing. Raises Unavailable KEY_UNAVAILABLE.
        """
        for row, answer in zip(rows, await self._kms.unwrap([row.to_unwrap() for row in rows]), strict=True):
            if isinstance(answer, Unreachable | Throttled):
                raise refusal(answer)
            if isinstance(answer, Secret):
                with contextlib.suppress(DataLoss):
                    self._add(custody, _loaded([row], [answer]))

    async def _establish(self, custody: Custody) -> None:
        stored = await self._stored(custody)
        if not stored:
            await self._make_first_tenant_key(custody)
            stored = await self._stored(custody)
        if not stored:
            raise key_unavailable()  # the reader's server lags behind the writer's
        asked_at = Keystore.tick()
        answers = await self._kms.unwrap([stored[0].to_unwrap()])
        self._settle(custody, asked_at, stored[:1], answers)
        await self._load_index_key(custody)
        if self._tenant_key_due(custody):
            custody.renew_at = 0
        custody.lease = self._keystore.lease(custody.core_id)

    async def _load_rows(self, custody: Custody, rows: Sequence[TenantKeyRow]) -> None:
        answers = await self._kms.unwrap([row.to_unwrap() for row in rows])
        for row, answer in zip(rows, answers, strict=True):
            if isinstance(answer, Denied | NotFound):
                # Perhaps this version only, perhaps all that the tenant has.
                await self.renew([custody])
                custody.refused_keys[row.key_id] = (refusal(answer), time.monotonic() + DENIED_SECONDS)
        self._add(custody, _loaded(rows, answers))

    async def _stored(self, custody: Custody) -> Sequence[TenantKeyRow]:
        async with self._database.read(custody.tenant_id) as connection:
            rows = (await key_rows.tenant_keys_of(connection, [custody.tenant_id]))[custody.tenant_id]
            if not rows:
                await _refuse_if_used(connection, custody.tenant_id, "tenant_key")
            return rows

    async def _make_first_tenant_key(self, custody: Custody) -> None:
        fault = await self._kms.provision(custody.tenant_id)
        if fault is not None:
            raise refusal(fault)
        await self._make_tenant_key(custody)

    async def _make_tenant_key(self, custody: Custody) -> bool:
        """Commits the row of a new tenant key, to be loaded as any other; not if another gateway just did."""
        # Its age is counted from the row's time, which is the database's.
        key = TenantKey.generate(custody.core_id, 0)
        context = KeyContext(custody.tenant_id, UUID(bytes=key.key_id))
        wrapped = await self._kms.wrap(WrapRequest(context, key.secret()))
        if isinstance(wrapped, KeyFault):
            raise refusal(wrapped)
        young = timedelta(days=self._settings.tenant_key_days)
        recorder = self.recorder if custody.tenant_id != PLATFORM.tenant_id else None
        if recorder is not None:
            await recorder.ready()
        async with self._database.write() as connection:
            made = await key_rows.add_tenant_key(connection, self._kms.provider_name, context, wrapped, young)
            is_new = made and not await key_rows.version_is_used(connection, context, wrapped)
            if is_new and recorder is not None:
                await recorder.kek_version_used(
                    connection, custody, self._kms.provider_name, context.key_id, wrapped
                )
        if made:
            _log.info("made tenant key", extra={"tenant": custody.tenant_name, "key_id": str(context.key_id)})
        return made

    async def _load_index_key(self, custody: Custody) -> None:
        async with self._database.read(custody.tenant_id) as connection:
            row = await key_rows.index_key(connection, custody.tenant_id)
            if row is None:
                await _refuse_if_used(connection, custody.tenant_id, "index_key")
        if row is None:
            row = await self._make_index_key(custody)
        if row is None:
            return
        await self.load_tenant_keys(custody, [row.tenant_key_id])
        try:
            self._keystore.load_index_key(row)
        except KeyUnavailable:
            raise
        except CoreError as error:
            raise row_corrupt("index_key", row.index_key_id, error.args[1]) from None

    async def _make_index_key(self, custody: Custody) -> IndexKeyRow | None:
        """Makes the index key and takes it into use; the row of another gateway's, if that was first."""
        pending = self._keystore.generate_index_key(custody.core_id)
        async with self._database.write() as connection:
            if not await key_rows.add_index_key(connection, custody.tenant_id, pending.row):
                return await key_rows.index_key(connection, custody.tenant_id)
        self._keystore.activate_index_key(pending)
        return None

    # -- keeping it ----------------------------------------------------------------------------------------

    async def renew(self, custodies: Sequence[Custody]) -> None:
        """Asks the KMS again for all of them at once. What fails is tried again, or has ended."""
        canaries = await self._canaries_of(custodies)
        asked_at = Keystore.tick()
        answers = iter(
            await self._kms.unwrap([row.to_unwrap() for rows in canaries.values() for row in rows])
        )
        for custody, rows in canaries.items():
            answered = [next(answers) for _ in rows]
            try:
                self._settle(custody, asked_at, rows, answered)
            except (IntelGraphError, KeyUnavailable) as error:
                self._failed(custody, answered, error)
            else:
                custody.failing = False

    async def replace_tenant_key_if_due(self, custody: Custody) -> None:
        """Gives the tenant a new tenant key if the newest is too old; the next renewal takes it into use."""
        try:
            if self._tenant_key_due(custody) and await self._make_tenant_key(custody):
                custody.renew_at = 0
        except (IntelGraphError, KeyUnavailable) as error:
            # The old one goes on; the next renewal tries again.
            _log.warning(
                "tenant key could not be replaced",
                extra={"tenant": custody.tenant_name, "why": _reason(error)},
            )

    def _tenant_key_due(self, custody: Custody) -> bool:
        return self._keystore.tenant_key_due(custody.core_id, time.time_ns() // 1000)

    def sweep(self, custodies: Iterable[Custody]) -> None:
        """Wipes what belongs to leases that have run out. To be called about once a second."""
        self._keystore.expire()
        ended = [
            custody
            for custody in custodies
            if custody.lease is not None and self._keystore.lease(custody.core_id) != custody.lease
        ]
        for custody in ended:
            custody.end()
            _log.info("lease ended", extra={"tenant": custody.tenant_name})
        if ended:
            self._on_ended()

    async def _canaries_of(self, custodies: Iterable[Custody]) -> Mapping[Custody, Sequence[TenantKeyRow]]:
        """What to ask the KMS about, as it is stored now: a rotation may have wrapped it anew. Ends the lease
        of a tenant whose rows are gone: somebody shredded it.
        """
        try:
            async with self._database.write() as connection:
                stored = await key_rows.tenant_keys_of(connection, [each.tenant_id for each in custodies])
        except IntelGraphError as error:
            # PostgreSQL restarting is no reason to let go of keys that the KMS still grants.
            _log.warning("key rows not read, renewing with those known", extra={"why": error.reason})
            known = {each: _newest_first(each.tenant_keys.values()) for each in custodies}
            # A lease may have ended while the database was waited for; then there is nothing to renew.
            return {each: _canaries(each, rows) for each, rows in known.items() if rows}
        canaries = {}
        for custody in custodies:
            rows = stored[custody.tenant_id]
            if custody.tenant_keys.keys() <= {row.key_id for row in rows} and rows:
                canaries[custody] = _canaries(custody, rows)
            else:
                self._revoke(custody, NotFound("rows of tenant keys are gone"))
        return canaries

    def _settle(
        self,
        custody: Custody,
        asked_at: int,
        rows: Sequence[TenantKeyRow],
        answers: Sequence[Secret | KeyFault],
    ) -> None:
        """Grants, prolongs or ends the lease, as the KMS's answers about `rows` say.

        Raises what `establish` raises, and KeyUnavailable if the tenant was denied since `asked_at`.
        """
        for row, answer in zip(rows, answers, strict=True):
            if isinstance(answer, Denied | NotFound):
                # A no about an older key is none about the tenant: it may start again without that key.
                self._revoke(custody, answer, for_good=row is rows[0])
                raise refusal(answer)
        # Checked before anything is granted: the ids commit to the keys, so a KMS that ignores the context
        # authorises nothing.
        keys = _loaded(rows, answers)
        self._keystore.renew(custody.core_id, asked_at, self._ttl_us)
        self._add(custody, keys)
        custody.refused = None
        custody.authorised_at = asked_at
        custody.ends_at = asked_at + self._ttl_us
        # Half-life, spread, so that tenants that started together do not renew together.
        custody.renew_at = asked_at + round(self._ttl_us * _random.uniform(0.45, 0.55))

    def _add(self, custody: Custody, keys: Sequence[tuple[TenantKeyRow, TenantKey]]) -> None:
        for row, key in keys:
            self._keystore.add_tenant_key(key)
            (custody.travelled_keys if row.created_us is None else custody.tenant_keys)[row.key_id] = row

    # -- ending it -----------------------------------------------------------------------------------------

    def _revoke(self, custody: Custody, fault: Denied | NotFound, *, for_good: bool = True) -> None:
        """Drops everything of the tenant. If it is `for_good`, callers are refused for a while."""
        self._keystore.revoke(custody.core_id)
        custody.end()
        if for_good:
            seconds = DENIED_SECONDS if isinstance(fault, Denied) else NOT_FOUND_SECONDS
            custody.refuse(refusal(fault), seconds)
        denial = fault.denial.value if isinstance(fault, Denied) else "not_found"
        DENIALS.labels(self._kms.provider_name, denial).inc()
        _log.warning(
            "the KMS denies a tenant; its keys and plaintext are dropped",
            extra={"tenant": custody.tenant_name, "denial": denial, "answer": fault.message},
        )
        self._on_ended()

    def _failed(
        self, custody: Custody, answers: Sequence[Secret | KeyFault], error: IntelGraphError | KeyUnavailable
    ) -> None:
        """A renewal without a yes. Without a no either, the lease goes on to its end, or as far as it may."""
        if custody.lease is None:
            return
        if not custody.failing:
            faults = [answer.message for answer in answers if isinstance(answer, KeyFault)]
            _log.warning(
                "lease not renewed",
                extra={"tenant": custody.tenant_name, "why": _reason(error), "answers": faults},
            )
        custody.failing = True
        staleness_us = round(self._settings.staleness_of(custody.tenant_name) * _MICROS)
        unreachable = all(isinstance(answer, Secret | Unreachable | Throttled) for answer in answers)
        lives = self._keystore.lease(custody.core_id) == custody.lease
        if staleness_us and unreachable and lives and not isinstance(error, DataLoss):
            # Still the same authorisation, and still absolute: repeating this prolongs nothing.
            self._keystore.renew(custody.core_id, custody.authorised_at, self._ttl_us + staleness_us)
            custody.ends_at = custody.authorised_at + self._ttl_us + staleness_us


async def _refuse_if_used(connection: "Connection", tenant_id: UUID, table: str) -> None:
    """Raises DataLoss KEY_ROWS_LOST for an owner that has something in its log and no row in `table`. A new key
    in place of a lost one would hide the loss, and give every entity a second identity.
    """
    if tenant_id == PLATFORM.tenant_id:
        stored: int = await connection.fetchval("SELECT size FROM ledger_log")
    else:
        stored = await change_log.watermark(connection, tenant_id)
    if stored:
        raise DataLoss(
            "KEY_ROWS_LOST",
            f"there is a log sealed under this owner's keys and no row in {table}",
            fix=f"restore the table {table} from a backup",
            metadata={"table": table},
        )


def _loaded(
    rows: Sequence[TenantKeyRow], answers: Sequence[Secret | KeyFault]
) -> Sequence[tuple[TenantKeyRow, TenantKey]]:
    """The keys that the KMS unwrapped. Raises the refusal of one that it did not, and DataLoss
    KEY_ROW_CORRUPT for one that its id does not commit to.
    """
    keys = []
    for row, answer in zip(rows, answers, strict=True):
        if isinstance(answer, KeyFault):
            raise refusal(answer)
        try:
            if row.created_us is None:
                key = TenantKey.load_travelled(row.tenant_id.bytes, row.key_id.bytes, answer)
            else:
                key = TenantKey.load(row.tenant_id.bytes, row.key_id.bytes, row.created_us, answer)
        except CoreError as error:
            raise row_corrupt("tenant_key", row.key_id.bytes, error.args[1]) from None
        keys.append((row, key))
    return keys


def _canaries(custody: Custody, stored: Sequence[TenantKeyRow]) -> Sequence[TenantKeyRow]:
    """The newest row, the newest loaded one of every other KEK version that is depended on, and what
    travelled: of that the version is not known.
    """
    canaries = {row.kek: row for row in stored[:1]}
    for row in stored:
        if row.key_id in custody.tenant_keys:
            canaries.setdefault(row.kek, row)
    return [*canaries.values(), *custody.travelled_keys.values()]


def _newest_first(rows: Iterable[TenantKeyRow]) -> Sequence[TenantKeyRow]:
    return sorted(rows, key=lambda row: (row.created_us or 0, row.key_id.bytes), reverse=True)


def _reason(error: IntelGraphError | KeyUnavailable) -> str:
    return error.reason if isinstance(error, IntelGraphError) else str(error.args[1])
