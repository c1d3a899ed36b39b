"""Versions of entities and what changed between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from intelgraph.client.times import Moment, from_us
from intelgraph.gateway.v1 import entity_pb2

if TYPE_CHECKING:
    from datetime import datetime


class Operation(IntEnum):
    """What a change did."""

    INSERT = entity_pb2.CHANGE_OPERATION_INSERT
    UPDATE = entity_pb2.CHANGE_OPERATION_UPDATE
    DELETE = entity_pb2.CHANGE_OPERATION_DELETE
    LATE_UPSERT = entity_pb2.CHANGE_OPERATION_LATE_UPSERT
    """A version older in valid time than what was known; it does not move the head."""
    LATE_DELETE = entity_pb2.CHANGE_OPERATION_LATE_DELETE


@dataclass(frozen=True, slots=True)
class AsOf:
    """A moment in recorded time, valid time or both; what is not given is not restricted."""

    recorded: Moment | None = None
    valid: Moment | None = None


@dataclass(frozen=True, slots=True)
class EntityVersion:
    """One version of an entity. Times are microseconds since the Unix epoch."""

    entity_id: UUID
    dataset: str
    seq: int
    """Position in the tenant's change log."""
    version: int
    """Position in the entity's chain; for late changes the ordinal within their valid time."""
    operation: Operation
    recorded_us: int
    valid_at_us: int
    contract_digest: bytes
    document: bytes = field(repr=False)
    """JSON in canonical form; empty after a delete, and where it was not asked for."""
    warned: bool = False
    """Whether the record broke its contract and was stored all the same."""

    @property
    def recorded(self) -> datetime:
        """When it was recorded."""
        return from_us(self.recorded_us)

    @property
    def valid_at(self) -> datetime:
        """From when it is true."""
        return from_us(self.valid_at_us)

    def json(self) -> Any:
        """The parsed document. Raises orjson.JSONDecodeError where there is none."""
        return orjson.loads(self.document)


@dataclass(frozen=True, slots=True)
class EntityDiff:
    """The difference between two versions; either is None where the entity was not known."""

    before: EntityVersion | None
    after: EntityVersion | None
    json_patch: bytes = field(repr=False)
    """RFC 6902, with `test` before what is replaced or removed."""
    changes: bytes = field(repr=False)
    """The reversible list, JSON: `["r",path,old,new]`, `["a",path,new]`, `["d",path,old]`."""
    as_of_seq: int
    """Change log position up to which the answer is complete."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A version and what it changed."""

    version: EntityVersion
    changes: bytes = field(repr=False)
    """The reversible list, as in `EntityDiff.changes`."""


def history_entry(entry: entity_pb2.HistoryEntry) -> HistoryEntry:
    """The entry in the client's terms."""
    return HistoryEntry(entity_version(entry.version), entry.diff)


def entity_version(version: entity_pb2.EntityVersion) -> EntityVersion:
    """The version in the client's terms."""
    return EntityVersion(
        entity_id=UUID(version.entity_id),
        dataset=version.dataset,
        seq=version.seq,
        version=version.version,
        operation=Operation(version.operation),
        recorded_us=version.recorded_us,
        valid_at_us=version.valid_at_us,
        contract_digest=version.contract_digest,
        document=version.document,
        warned=version.warned,
    )
