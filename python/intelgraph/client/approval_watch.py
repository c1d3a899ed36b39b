"""What waits for the caller to decide, live: a stream that outlives its connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import grpc

from intelgraph.client.approval import ApprovalNews, news_of
from intelgraph.client.calls import authorization
from intelgraph.client.failures import from_rpc, is_transient
from intelgraph.client.retry import Patience, RetryPolicy
from intelgraph.errors import IntelGraphError, Unauthenticated, Unavailable
from intelgraph.gateway.v1 import approval_pb2, approval_pb2_grpc

if TYPE_CHECKING:
    from intelgraph.client.tokens import AccessToken, TokenSource

    _Call = grpc.aio.UnaryStreamCall[approval_pb2.WatchApprovalsRequest, approval_pb2.WatchApprovalsResponse]


class ApprovalWatch(AsyncIterator[ApprovalNews]):
    """News without an end. After the gateway was away, all that waits is told again, and `caught_up` once more."""

    def __init__(
        self,
        stub: approval_pb2_grpc.ApprovalServiceAsyncStub,
        tokens: TokenSource,
        policy: RetryPolicy,
        kind: str,
    ) -> None:
        self._stub = stub
        self._tokens = tokens
        self._patience = Patience(policy)
        self._request = approval_pb2.WatchApprovalsRequest(kind=kind)
        self._call: _Call | None = None
        self._token: AccessToken | None = None
        self._denied = False

    async def __anext__(self) -> ApprovalNews:
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
                await self._patience.wait(error)

    def close(self) -> None:
        """Ends the connection; iterating again opens another."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    async def _read(self) -> ApprovalNews:
        if self._call is None:
            self._token = await self._tokens.get()
            self._call = self._stub.WatchApprovals(self._request, metadata=authorization(self._token))
        try:
            response = await self._call.read()
        except grpc.aio.AioRpcError as error:
            self._call = None
            raise from_rpc(error) from error
        except asyncio.CancelledError:
            # grpc.aio cancels a call whose read is cancelled; the next one begins anew.
            self._call = None
            raise
        if not isinstance(response, approval_pb2.WatchApprovalsResponse):
            self._call = None
            raise Unavailable("CONNECTION_LOST", "the gateway ended the stream", fix="connect again")
        self._patience.restore()
        self._denied = False
        return news_of(response)
