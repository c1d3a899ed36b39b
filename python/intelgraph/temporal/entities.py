"""Entities over recorded and valid time. What is read is opened and encoded by the core, row by row.

    reader = EntityReader(database, contracts, unsealer, catalogues, keystore)
    version = await reader.get(tenant, EntityName("planes", by=b'"N14228"'), Moment())

Answers are the parts of the wire's messages that come from rows, encoded; see `_core.LogReader`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from intelgraph._core import EntityKeyInvalid, Keystore, LogReader, entity_id, keys_of_rows
from intelgraph.errors import FieldViolation, InvalidArgument, NotFound
from intelgraph.storage import change_log
from intelgraph.storage.change_log import VersionKey
from intelgraph.temporal.switch import ALWAYS_ON

if TYPE_CHECKING:
    from intelgraph.contracts.registry import ContractRegistry
    from intelgraph.keys.unsealing import Unsealer
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database
    from intelgraph.temporal.catalogues import Catalogues
    from intelgraph.temporal.switch import TemporalSwitch
    from intelgraph.tenants.registry import Tenant


@dataclass(frozen=True, slots=True)
class EntityName:
    """An entity of a dataset: by its identifier, or by its key as JSON."""

    dataset: str
    by: UUID | bytes


@dataclass(frozen=True, slots=True)
class Moment:
    """What had been recorded by then, what was true then, or both; in microseconds since the Unix epoch. Of
    neither: now. A moment to come is as good as any.
    """

    recorded_us: int | None = None
    valid_us: int | None = None

    @property
    def is_now(self) -> bool:
        """Whether it names no time: of the present alone is known without the past."""
        return self.recorded_us is None and self.valid_us is None


@dataclass(frozen=True, slots=True)
class Answer:
    """An encoded part of a response, and the change up to which it is complete."""

    message: bytes
    watermark: int
    report: bytes | None = None
    """JSON (`ig.report.v1`), where it was asked for and the version's record breaks its contract."""


@dataclass(frozen=True, slots=True)
class HistoryAnswer:
    """Encoded entries of a history, and where the next page begins; None at the end."""

    entries: bytes
    next: VersionKey | None
    watermark: int


@dataclass(frozen=True, slots=True)
class _Place:
    dataset_id: int
    entity_id: UUID


class EntityReader:
    """Reads entities of any tenant. Every method raises NotFound DATASET_NOT_FOUND and ENTITY_UNKNOWN,
    InvalidArgument ENTITY_KEY_INVALID, DataLoss DATA_CORRUPT, and as `KeyService.authorise`; but for `get` of now also
    Unavailable TEMPORAL_OFF.
    """

    def __init__(
        self,
        database: "Database",
        contracts: "ContractRegistry",
        unsealer: "Unsealer",
        catalogues: "Catalogues",
        keystore: Keystore,
        switch: "TemporalSwitch" = ALWAYS_ON,
    ) -> None:
        self._database = database
        self._contracts = contracts
        self._unsealer = unsealer
        self._catalogues = catalogues
        self._keystore = keystore
        self._switch = switch

    async def get(
        self, tenant: "Tenant", entity: EntityName, moment: Moment, *, with_report: bool = False
    ) -> Answer:
        """`GetResponse.version`: the version in force.

        Raises NotFound NO_VERSION_AS_OF where there was none.
        """
        if not moment.is_now:
            self._switch.require_on(tenant)
        place = await self._place(tenant, entity)
        async with self._database.read(tenant.tenant_id) as connection:
            found = await _as_of(connection, tenant, place, moment)
            if not found.rows:
                raise await _nothing(connection, tenant, place)
        reader = await self._reader(tenant, found.rows)
        needed = keys_of_rows(found.rows)
        version, report = await self._unsealer.run(
            tenant,
            needed,
            lambda: (reader.version(found.rows), reader.report(found.rows) if with_report else None),
        )
        return Answer(version, found.watermark, report)

    async def diff(self, tenant: "Tenant", entity: EntityName, before: Moment, after: Moment) -> Answer:
        """`DiffResponse` but for `as_of_seq`: both versions and what leads from one to the other. One side
        may be without a version; raises NotFound NO_VERSION_AS_OF if both are.
        """
        self._switch.require_on(tenant)
        place = await self._place(tenant, entity)
        async with self._database.read(tenant.tenant_id) as connection:
            earlier = await _as_of(connection, tenant, place, before)
            later = await _as_of(connection, tenant, place, after)
            if not (earlier.rows or later.rows):
                raise await _nothing(connection, tenant, place)
        contract = (await self._contracts.get(tenant, entity.dataset)).compiled()
        reader = await self._reader(tenant, earlier.rows, later.rows)
        diff = await self._unsealer.run(
            tenant,
            keys_of_rows(earlier.rows) + keys_of_rows(later.rows),
            lambda: reader.difference(earlier.rows, later.rows, contract),
        )
        return Answer(diff, later.watermark)

    async def history(
        self,
        tenant: "Tenant",
        entity: EntityName,
        before: VersionKey | None,
        limit: int,
        *,
        with_documents: bool,
    ) -> HistoryAnswer:
        """`HistoryResponse.entries`: versions that precede `before`, newest first by (valid time, seq). There
        are at most `limit`, and fewer where they are large.
        """
        self._switch.require_on(tenant)
        place = await self._place(tenant, entity)
        async with self._database.read(tenant.tenant_id) as connection:
            page = await change_log.history(
                connection, tenant.tenant_id, place.dataset_id, place.entity_id, before=before, limit=limit
            )
        if not page.rows and before is None:
            raise _unknown()
        reader = await self._reader(tenant, page.rows)
        needed = keys_of_rows(page.rows)
        if with_documents:
            needed += keys_of_rows(page.chain)
        entries, cut_after = await self._unsealer.run(
            tenant, needed, lambda: reader.history(page.rows, page.chain, with_documents)
        )
        following = VersionKey(*cut_after) if cut_after is not None else page.next
        return HistoryAnswer(entries, following, page.watermark)

    async def _place(self, tenant: "Tenant", entity: EntityName) -> _Place:
        dataset_id = await self._catalogues.dataset_id(tenant, entity.dataset)
        if isinstance(entity.by, UUID):
            return _Place(dataset_id, entity.by)
        key = entity.by
        contract = (await self._contracts.get(tenant, entity.dataset)).compiled()
        try:
            found = await self._unsealer.run(
                tenant, b"", lambda: entity_id(self._keystore, tenant.tenant_id.bytes, contract, key)
            )
        except EntityKeyInvalid as error:
            raise _key_invalid(*error.args) from None
        return _Place(dataset_id, UUID(bytes=found))

    async def _reader(self, tenant: "Tenant", *answers: bytes) -> LogReader:
        catalogue = await self._catalogues.covering(tenant, *answers)
        return LogReader(self._keystore, tenant.tenant_id.bytes, catalogue)


async def _as_of(
    connection: "Connection", tenant: "Tenant", place: _Place, moment: Moment
) -> change_log.AsOf:
    return await change_log.as_of(
        connection,
        tenant.tenant_id,
        place.dataset_id,
        place.entity_id,
        valid_us=moment.valid_us,
        recorded_us=moment.recorded_us,
    )


async def _nothing(connection: "Connection", tenant: "Tenant", place: _Place) -> NotFound:
    """Why there was no version: never one, or none by then."""
    if not (await _as_of(connection, tenant, place, Moment())).rows:
        return _unknown()
    return NotFound(
        "NO_VERSION_AS_OF",
        "the entity had no version as of that moment",
        fix="ask for a later moment; its history shows when it began",
    )


def _unknown() -> NotFound:
    return NotFound(
        "ENTITY_UNKNOWN",
        "the dataset has no entity of that name",
        fix="check the key against the contract's mapping, and that its records were accepted",
    )


def _key_invalid(fix: str, rule: str, pointer: str) -> InvalidArgument:
    return InvalidArgument(
        "ENTITY_KEY_INVALID",
        "the key does not name an entity of the dataset",
        fix=fix,
        violations=(FieldViolation(f"/entity/key{pointer}", f"{rule}: {fix}"),),
    )
