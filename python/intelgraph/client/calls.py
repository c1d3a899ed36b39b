"""One call: the token on it, its deadline, and its failure as a typed error."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import grpc

from intelgraph.client.failures import from_rpc
from intelgraph.errors import Unauthenticated

if TYPE_CHECKING:
    from intelgraph.client.tokens import AccessToken, TokenSource

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class Caller:
    """Makes unary calls. `deadline` is in seconds and covers gRPC's repetitions; None waits without end."""

    def __init__(self, tokens: TokenSource, deadline: float | None) -> None:
        self.tokens = tokens
        self._deadline = deadline

    async def call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[_Request, _Response],
        request: _Request,
        timeout: float | None,
    ) -> _Response:
        """Calls the method; `timeout` in seconds, None takes the client's deadline.

        Raises the IntelGraphError that the gateway's status stands for, Unavailable where it cannot be
        reached, DeadlineExceeded where it did not answer in time.
        """
        deadline = self._deadline if timeout is None else timeout
        token = await self.tokens.get()
        try:
            return await method(request, timeout=deadline, metadata=authorization(token))
        except grpc.aio.AioRpcError as error:
            failure = from_rpc(error)
            if not isinstance(failure, Unauthenticated) or not self.tokens.renews:
                raise failure from error
        # The token may have been revoked, or have expired by the gateway's clock: once more with another.
        self.tokens.discard(token)
        token = await self.tokens.get()
        try:
            return await method(request, timeout=deadline, metadata=authorization(token))
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error) from error


def authorization(token: AccessToken | None) -> grpc.aio.Metadata | None:
    """The metadata that carries the token (RFC 6750 §2.1)."""
    return grpc.aio.Metadata(("authorization", f"Bearer {token.value}")) if token else None
