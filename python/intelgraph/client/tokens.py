"""Access tokens: fetched from a provider, kept until shortly before they expire.

The client does not verify tokens, the gateway does; it reads `exp` from a JWT only to fetch the next in time.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import inspect
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import orjson

_MARGIN_SHARE: Final = 0.2
_LONGEST_MARGIN: Final = 60.0


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A bearer token and when it expires, in seconds since the Unix epoch (infinity if it does not say)."""

    value: str = field(repr=False)
    expires_at: float = math.inf

    @classmethod
    def of(cls, value: str) -> AccessToken:
        """The token with the expiry that its `exp` claim states (RFC 7519 §4.1.4), where it is a JWT."""
        return cls(value, _expiry(value))


TokenProvider = Callable[[], str | AccessToken | Awaitable[str | AccessToken]]
"""Returns a valid token. Called again before it expires; a plain function is run on a thread of its own."""


class TokenSource:
    """The present token of a client. Concurrent callers share one call of the provider."""

    def __init__(self, token: str | TokenProvider | None) -> None:
        self._provider = token if callable(token) else None
        self._token = AccessToken.of(token) if isinstance(token, str) else None
        self._renew_at = math.inf if self._token else 0.0
        self._fetching = asyncio.Lock()

    @property
    def renews(self) -> bool:
        """Whether a new token can be had."""
        return self._provider is not None

    async def get(self) -> AccessToken | None:
        """A token that is not about to expire; None where the client has no tokens (mTLS)."""
        if self._provider is None or time.time() < self._renew_at:
            return self._token
        async with self._fetching:
            if time.time() >= self._renew_at:
                self._keep(await self._fetch(self._provider))
        return self._token

    def discard(self, token: AccessToken | None) -> None:
        """The gateway refused the token: the next `get` fetches another."""
        if token is self._token and self._provider is not None:
            self._renew_at = 0.0

    @property
    def renew_in(self) -> float:
        """Seconds until the present token ought to be replaced; infinity where it need not or cannot be."""
        return self._renew_at - time.time() if self._provider is not None else math.inf

    def _keep(self, token: AccessToken) -> None:
        self._token = token
        remaining = token.expires_at - time.time()
        if math.isinf(remaining):
            self._renew_at = math.inf
        else:
            # A provider that hands out its old token until the end is asked again at ever shorter distances.
            self._renew_at = token.expires_at - min(_LONGEST_MARGIN, max(remaining, 0.0) * _MARGIN_SHARE)

    @staticmethod
    async def _fetch(provider: TokenProvider) -> AccessToken:
        if inspect.iscoroutinefunction(provider):
            fetched = await provider()
        else:
            fetched = await asyncio.to_thread(provider)
            if inspect.isawaitable(fetched):
                fetched = await fetched
        return fetched if isinstance(fetched, AccessToken) else AccessToken.of(fetched)


def _expiry(token: str) -> float:
    parts = token.split(".")
    if len(parts) != 3:
        return math.inf
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return float(claims["exp"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        return math.inf
