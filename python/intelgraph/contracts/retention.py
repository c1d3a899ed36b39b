"""How long a dataset is kept, and what another version of its contract does to that.

The newest version decides for everything that the dataset has, so a version that keeps for less long makes due what was
kept until then, and one after `legal-hold` lifts the hold.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self
from uuid import UUID

import orjson

from intelgraph.contracts.precedence import precedence
from intelgraph.contracts.retention_classes import DAYS, is_shorter
from intelgraph.storage import retention

if TYPE_CHECKING:
    from intelgraph._core import Contract
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database

_COUNTED_AT_ONCE: Final = 200_000
_COUNTED: Final = 5_000_000


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest version of a dataset's contract, as far as retention goes."""

    retention: str
    precedence: bytes

    @classmethod
    async def of(cls, connection: "Connection", tenant_id: UUID, dataset: str) -> Self | None:
        """That of the dataset; None where it has no contract."""
        row = await connection.fetchrow(_NEWEST, tenant_id, dataset)
        return None if row is None else cls(**row)


@dataclass(frozen=True, slots=True)
class RetentionEffect:
    """What a version does to how long its dataset is kept."""

    stated: str
    """The class that the version itself has."""
    before: str | None
    """The class that holds without it; None where the dataset has no contract."""
    after: str
    """The class that holds with it."""

    @classmethod
    def of(cls, contract: "Contract", newest: Newest | None) -> Self:
        """The effect of a version where `newest` is the newest that is published: it may be the very same."""
        stated = orjson.loads(contract.document)["retention"]
        if newest is None:
            return cls(stated, None, stated)
        decides = precedence(contract.version) > newest.precedence
        return cls(stated, newest.retention, stated if decides else newest.retention)

    @property
    def changes(self) -> bool:
        """Whether the dataset is kept for longer, or for less long, than before."""
        return self.before is not None and self.after != self.before

    @property
    def shortens(self) -> bool:
        """Whether it lifts a hold, or keeps for less long."""
        return self.before is not None and is_shorter(self.after, self.before)


@dataclass(frozen=True, slots=True)
class Due:
    """The most that a run of retention would remove."""

    changes: int = 0
    quarantined: int = 0
    """Records in quarantine."""


async def count_due(
    database: "Database", tenant_id: UUID, dataset: str, retention_class: str, *, days_ahead: int = 0
) -> Due:
    """The most that is due of the dataset under that class so many days from now, counted without a lock.

    What comes meanwhile is not due: every class keeps for longer than that. Of more than `_COUNTED` changes that the
    tenant has of that age, the others are not looked at, and each is taken for one of this dataset.
    """
    days = DAYS[retention_class]
    if days is None:
        return Due()
    async with database.read(tenant_id) as connection:
        found = await connection.fetchrow(_CUT, tenant_id, dataset, days - days_ahead)
        if found is None:
            return Due()
        dataset_id, cut = found["dataset_id"], found["cut"]
        after = await retention.gone_through(connection, tenant_id, dataset_id)
        until = await retention.last_before(connection, tenant_id, cut)
        waiting = await retention.count_quarantined(connection, tenant_id, dataset_id, cut)
    changes = 0
    for first in range(after, until, _COUNTED_AT_ONCE):
        if first - after >= _COUNTED:
            changes += until - first
            break
        last = min(first + _COUNTED_AT_ONCE, until)
        async with database.read(tenant_id) as connection:
            changes += (await retention.count(connection, tenant_id, dataset_id, first, last)).count
    return Due(changes, waiting.count)


_NEWEST: Final = """
SELECT convert_from(contract.document, 'UTF8')::json ->> 'retention' AS retention, contract.precedence
FROM dataset JOIN contract ON contract.tenant_id = $1 AND contract.dataset_id = dataset.dataset_id
WHERE dataset.tenant_id = $1 AND dataset.name = $2
ORDER BY contract.precedence DESC LIMIT 1
"""

_CUT: Final = """
SELECT dataset_id, clock_timestamp() - interval '1 day' * $3::int AS cut
FROM dataset WHERE tenant_id = $1 AND name = $2
"""
