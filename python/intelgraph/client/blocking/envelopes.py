"""Sealing and opening messages."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyio.from_thread import BlockingPortal

    from intelgraph.client import envelopes
    from intelgraph.errors import IntelGraphError


class Envelopes:
    """Seals and opens messages. See `intelgraph.client.envelopes.Envelopes`."""

    def __init__(self, portal: BlockingPortal, inner: envelopes.Envelopes) -> None:
        self._portal = portal
        self._inner = inner

    def encrypt(
        self,
        plaintexts: Sequence[bytes],
        context: bytes,
        *,
        inline_wrapped_key: bool = False,
        timeout: float | None = None,
    ) -> list[bytes]:
        """Envelopes in the order of the messages."""
        return self._portal.call(
            partial(
                self._inner.encrypt,
                plaintexts,
                context,
                inline_wrapped_key=inline_wrapped_key,
                timeout=timeout,
            )
        )

    def decrypt(
        self, envelopes: Sequence[bytes], context: bytes, *, timeout: float | None = None
    ) -> list[bytes | IntelGraphError]:
        """For each envelope, in their order, its message or why it does not open."""
        return self._portal.call(partial(self._inner.decrypt, envelopes, context, timeout=timeout))
