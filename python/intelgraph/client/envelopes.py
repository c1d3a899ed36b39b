"""Sealing for services: messages under the tenant's own key, bound to a context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from intelgraph.client.failures import from_status
from intelgraph.gateway.v1 import envelope_pb2, envelope_pb2_grpc

if TYPE_CHECKING:
    import grpc

    from intelgraph.client.calls import Caller
    from intelgraph.errors import IntelGraphError


class Envelopes:
    """Seals and opens messages in batches of at most 4,096."""

    def __init__(self, channel: grpc.aio.Channel, caller: Caller) -> None:
        self._stub = envelope_pb2_grpc.EnvelopeServiceStub(channel)
        self._caller = caller

    async def encrypt(
        self,
        plaintexts: Sequence[bytes],
        context: bytes,
        *,
        inline_wrapped_key: bool = False,
        timeout: float | None = None,
    ) -> list[bytes]:
        """Envelopes in the order of the messages. Opening one needs the same `context` (at most 1 KiB).

        With `inline_wrapped_key` each envelope carries its wrapped data key and can travel alone.
        """
        request = envelope_pb2.EncryptRequest(
            context=context, plaintexts=plaintexts, inline_wrapped_key=inline_wrapped_key
        )
        response = await self._caller.call(self._stub.Encrypt, request, timeout)
        return list(response.envelopes)

    async def decrypt(
        self, envelopes: Sequence[bytes], context: bytes, *, timeout: float | None = None
    ) -> list[bytes | IntelGraphError]:
        """For each envelope, in their order, its message or why it does not open."""
        request = envelope_pb2.DecryptRequest(context=context, envelopes=envelopes)
        response = await self._caller.call(self._stub.Decrypt, request, timeout)
        return [
            from_status(result.error) if result.WhichOneof("result") == "error" else result.plaintext
            for result in response.results
        ]
