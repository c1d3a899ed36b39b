"""Entities as they are, as they were, and as they came to be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from intelgraph.client.change_feed import ChangeFeed
from intelgraph.client.contracts import ViolationReport, violation_report
from intelgraph.client.frames import EntityKeyJson, encode_key
from intelgraph.client.times import to_us
from intelgraph.client.versions import (
    AsOf,
    EntityDiff,
    EntityVersion,
    HistoryEntry,
    entity_version,
    history_entry,
)
from intelgraph.gateway.v1 import entity_pb2, entity_pb2_grpc

if TYPE_CHECKING:
    import grpc

    from intelgraph.client.calls import Caller
    from intelgraph.client.retry import RetryPolicy

EntityKey = EntityKeyJson | UUID
"""What names an entity within its dataset: its key, or its identifier."""


class Entities:
    """Reads entities. Every method raises NotFound where dataset or entity is not known."""

    def __init__(self, channel: grpc.aio.Channel, caller: Caller, policy: RetryPolicy) -> None:
        self._channel = channel
        self._stub = entity_pb2_grpc.EntityServiceStub(channel)
        self._caller = caller
        self._policy = policy

    async def get(
        self, dataset: str, key: EntityKey, as_of: AsOf | None = None, *, timeout: float | None = None
    ) -> EntityVersion:
        """The version in force at a moment, by default now.

        Raises NotFound where there was none; after a delete the version has an empty document.
        """
        request = entity_pb2.GetRequest(entity=_ref(dataset, key), as_of=_as_of(as_of))
        response = await self._caller.call(self._stub.Get, request, timeout)
        return entity_version(response.version)

    async def report(
        self, dataset: str, key: EntityKey, as_of: AsOf | None = None, *, timeout: float | None = None
    ) -> ViolationReport | None:
        """What the version in force at a moment breaks; None where it satisfies its contract.

        There is a report where `EntityVersion.warned` is set. Raises as `get`.
        """
        request = entity_pb2.GetRequest(entity=_ref(dataset, key), as_of=_as_of(as_of), with_report=True)
        response = await self._caller.call(self._stub.Get, request, timeout)
        return violation_report(response.report) if response.HasField("report") else None

    async def diff(
        self,
        dataset: str,
        key: EntityKey,
        before: AsOf,
        after: AsOf | None = None,
        *,
        timeout: float | None = None,
    ) -> EntityDiff:
        """What changed between two moments; the later is by default now."""
        request = entity_pb2.DiffRequest(entity=_ref(dataset, key), to=_as_of(after))
        # The field is called `from`, which Python cannot write as a keyword.
        getattr(request, "from").CopyFrom(_as_of(before))
        response = await self._caller.call(self._stub.Diff, request, timeout)
        earlier = getattr(response, "from")
        return EntityDiff(
            before=entity_version(earlier) if response.HasField("from") else None,
            after=entity_version(response.to) if response.HasField("to") else None,
            json_patch=response.json_patch,
            changes=response.diff,
            as_of_seq=response.as_of_seq,
        )

    async def history(
        self,
        dataset: str,
        key: EntityKey,
        *,
        with_documents: bool = False,
        page_size: int = 50,
        timeout: float | None = None,
    ) -> AsyncIterator[HistoryEntry]:
        """The versions, newest first by (valid time, seq). Pages are fetched as they are needed, each within
        `timeout`; at most 500 versions a page.
        """
        token = ""
        while True:
            request = entity_pb2.HistoryRequest(
                entity=_ref(dataset, key),
                page_size=page_size,
                page_token=token,
                with_documents=with_documents,
            )
            page = await self._caller.call(self._stub.History, request, timeout)
            for entry in page.entries:
                yield history_entry(entry)
            token = page.next_page_token
            if not token:
                return

    def changes(
        self, after_seq: int = 0, *, datasets: Sequence[str] = (), until_now: bool = False
    ) -> ChangeFeed:
        """Every change of the tenant with a greater `seq`, once and in order, of all datasets or of some.

        Waits for new ones at the end, unless `until_now`.
        """
        return ChangeFeed(
            self._channel,
            self._caller.tokens,
            self._policy,
            after_seq=after_seq,
            datasets=datasets,
            until_now=until_now,
        )


def _ref(dataset: str, key: EntityKey) -> entity_pb2.EntityRef:
    if isinstance(key, UUID):
        return entity_pb2.EntityRef(dataset=dataset, entity_id=str(key))
    return entity_pb2.EntityRef(dataset=dataset, key=encode_key(key))


def _as_of(as_of: AsOf | None) -> entity_pb2.AsOf | None:
    if as_of is None:
        return None
    moment = entity_pb2.AsOf()
    if as_of.recorded is not None:
        moment.recorded_us = to_us(as_of.recorded)
    if as_of.valid is not None:
        moment.valid_us = to_us(as_of.valid)
    return moment
