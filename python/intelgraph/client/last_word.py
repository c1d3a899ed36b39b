"""How the gateway ended a call, even where a write was under way.

A write that finds the call ended makes grpc.aio (1.85) overwrite the status of the call with one of its own
making (grpc/grpc#36066). But whether a stream is opened again depends on what the gateway said.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc

from intelgraph.client.failures import connection_lost, from_rpc

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from intelgraph.errors import IntelGraphError

_MADE_UP: Final = "Internal error from Core"
_LATEST_AFTER: Final = 0.5
_POLL: Final = 0.01
_Value = TypeVar("_Value")


class LastWord:
    """Keeps the status of a call as it arrives. Create it before anything is written."""

    def __init__(self, call: grpc.aio.Call) -> None:
        self._call = call
        self._heard: grpc.aio.AioRpcError | None = None
        call.add_done_callback(self._hear)

    async def failure(self, error: grpc.aio.AioRpcError) -> IntelGraphError:
        """What the gateway said, given what reading the call raised."""
        if not _is_made_up(error):
            return from_rpc(error)
        if self._heard is not None and not _is_made_up(self._heard):
            return from_rpc(self._heard)
        # The made-up status came first; the gateway's replaces it as soon as it is there.
        for _ in range(round(_LATEST_AFTER / _POLL)):
            await asyncio.sleep(_POLL)
            self._hear(self._call)
            if self._heard is not None and not _is_made_up(self._heard):
                return from_rpc(self._heard)
        return connection_lost("the connection broke while a batch was being written")

    def _hear(self, call: grpc.aio.Call) -> None:
        self._heard = grpc.aio.AioRpcError(
            _at_once(call.code()),
            grpc.aio.Metadata(),
            _at_once(call.trailing_metadata()),
            _at_once(call.details()),
        )


def _is_made_up(error: grpc.aio.AioRpcError) -> bool:
    return error.details() == _MADE_UP


def _at_once(ready: Coroutine[Any, Any, _Value]) -> _Value:
    """The result of a coroutine that has nothing to wait for: awaiting it would be too late."""
    try:
        ready.send(None)
    except StopIteration as result:
        value: _Value = result.value
        return value
    ready.close()
    raise RuntimeError("the status of an ended call is not there")
