"""Every change of the tenant, once, in order: a feed that outlives its connections."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

import grpc

from intelgraph.client.calls import authorization
from intelgraph.client.failures import from_rpc, is_transient
from intelgraph.client.retry import Patience, RetryPolicy
from intelgraph.client.versions import HistoryEntry, history_entry
from intelgraph.errors import IntelGraphError, Unauthenticated
from intelgraph.gateway.v1 import entity_pb2, entity_pb2_grpc

if TYPE_CHECKING:
    from intelgraph.client.tokens import AccessToken, TokenSource

_log: Final = logging.getLogger("intelgraph.client")


class ChangeFeed(AsyncIterator[HistoryEntry]):
    """Changes with a `seq` greater than `after_seq`. Connects again by itself where it left off.

    To go on in another process, store `resume_after_seq` together with what the changes before led to.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        tokens: TokenSource,
        policy: RetryPolicy,
        *,
        after_seq: int,
        datasets: Sequence[str],
        until_now: bool,
    ) -> None:
        self._stub = entity_pb2_grpc.EntityServiceStub(channel)
        self._tokens = tokens
        self._patience = Patience(policy)
        self._datasets = datasets
        self._until_now = until_now
        self._passed = after_seq
        self._received = after_seq
        self._ready: deque[HistoryEntry] = deque()
        self._call: grpc.aio.UnaryStreamCall[entity_pb2.ChangesRequest, entity_pb2.ChangesResponse] | None = (
            None
        )
        self._token: AccessToken | None = None
        self._denied = False
        self._away_for = ""
        """Reason that was logged since the feed last gave something."""

    @property
    def resume_after_seq(self) -> int:
        """Everything up to this `seq` was handed out or is of other datasets."""
        return self._passed

    async def __anext__(self) -> HistoryEntry:
        if not self._ready:
            await self._receive()
        entry = self._ready.popleft()
        self._passed = entry.version.seq
        return entry

    async def batch(self) -> list[HistoryEntry]:
        """The next changes that came together, at least one; none at the end of a feed `until_now`."""
        if not self._ready:
            try:
                await self._receive()
            except StopAsyncIteration:
                return []
        entries = list(self._ready)
        self._ready.clear()
        self._passed = self._received
        return entries

    def close(self) -> None:
        """Ends the feed's connection; iterating again opens another."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    async def _receive(self) -> None:
        while not self._ready:
            self._passed = self._received
            response = await self._next_response()
            self._ready.extend(history_entry(entry) for entry in response.entries)
            self._received = response.resume_after_seq

    async def _next_response(self) -> entity_pb2.ChangesResponse:
        while True:
            try:
                return await self._read()
            except Unauthenticated:
                if not self._tokens.renews or self._denied:
                    raise
                self._denied = True
                self._tokens.discard(self._token)
            except IntelGraphError as error:
                if not is_transient(error):
                    raise
                self._log_away(error)
                await self._patience.wait(error)

    def _log_away(self, error: IntelGraphError) -> None:
        """Once for each reason, however many attempts follow each other."""
        if error.reason != self._away_for:
            self._away_for = error.reason
            _log.warning("change feed: %s; connecting until it is back", error)

    async def _read(self) -> entity_pb2.ChangesResponse:
        if self._call is None:
            self._token = await self._tokens.get()
            request = entity_pb2.ChangesRequest(
                after_seq=self._received, datasets=self._datasets, until_now=self._until_now
            )
            self._call = self._stub.Changes(request, metadata=authorization(self._token))
        try:
            response = await self._call.read()
        except grpc.aio.AioRpcError as error:
            self._call = None
            raise from_rpc(error) from error
        except asyncio.CancelledError:
            # grpc.aio cancels a call whose read is cancelled; the next one begins where this one was.
            self._call = None
            raise
        if not isinstance(response, entity_pb2.ChangesResponse):
            self._call = None
            raise StopAsyncIteration
        self._patience.restore()
        self._denied = False
        if self._away_for:
            self._away_for = ""
            _log.warning("change feed: is back, and goes on after change %d", self._received)
        return response
