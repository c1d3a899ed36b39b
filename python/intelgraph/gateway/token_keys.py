"""Public keys of token issuers: JSON Web Key Sets (RFC 7517) from a file or a URL.

Only keys that can verify EdDSA (Ed25519), ES256 (P-256) or RS256 (2,048 bits or more) are taken, and each
only for the algorithm of its own type: the header of a token never chooses. Keys without a `kid`, symmetric
and private keys are passed over.
"""

import asyncio
import json
import logging
import time
from pathlib import Path
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWKClient, PyJWKSet, PyJWTError

from intelgraph.errors import Unavailable

_SMALLEST_RSA_BITS: Final = 2048
_REFRESH_S: Final = 300.0
"""Age at which a fetched set is fetched again, so that a withdrawn key is soon dropped."""
_LONGEST_TRUST_S: Final = 3600.0
"""Age at which a set that cannot be fetched again is trusted no more."""
_COOLDOWN_S: Final = 10.0
"""Unknown key ids, which anyone can make up, cause at most one fetch in this time."""
_RETRY_S: Final = 1.0
"""While there are no keys at all, a fetch is tried at most this often."""
_FETCH_TIMEOUT_S: Final = 5.0

_log = logging.getLogger(__name__)


class TokenKeys(Protocol):
    """Where keys come from."""

    async def key(self, kid: str) -> PyJWK | None:
        """The key of that id; None if there is none.

        Raises Unavailable JWKS_UNREACHABLE if no keys can be had at all.
        """


class KeyFile:
    """A set in a file, read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: tuple[int, int, int] | None = None
        self._keys: dict[str, PyJWK] = {}

    async def key(self, kid: str) -> PyJWK | None:
        """See `TokenKeys`. A file that is away or unreadable yields no keys."""
        try:
            status = self._path.stat()
            version = (status.st_mtime_ns, status.st_size, status.st_ino)
            if version != self._version:
                self._keys = parse_key_set(self._path.read_bytes())
                self._version = version
        except (OSError, ValueError) as error:
            _log.warning("key set unreadable", extra={"path": str(self._path), "cause": type(error).__name__})
            self._keys, self._version = {}, None
            raise _unreachable() from error
        return self._keys.get(kid)


class KeyUrl:
    """A set behind a URL, fetched on the first use, when it is old, and when a token names an unknown key.

    No redirect is followed.
    """

    def __init__(self, url: str) -> None:
        self._client = PyJWKClient(url, cache_jwk_set=False, timeout=_FETCH_TIMEOUT_S)
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = self._tried_at = -_LONGEST_TRUST_S
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, kid: str) -> PyJWK | None:
        """See `TokenKeys`."""
        now = time.monotonic()
        if now - self._fetched_at > _LONGEST_TRUST_S:
            self._keys = {}
        if kid not in self._keys:
            await asyncio.shield(self._fetch())
        elif now - self._fetched_at > _REFRESH_S:
            self._fetch()
        if not self._keys:
            raise _unreachable()
        return self._keys.get(kid)

    def _fetch(self) -> asyncio.Task[None]:
        """The fetch that runs, or a new one; within the cooldown, one that does nothing."""
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._fetch_unless_cooling())
        return self._fetching

    async def _fetch_unless_cooling(self) -> None:
        if time.monotonic() - self._tried_at < (_COOLDOWN_S if self._keys else _RETRY_S):
            return
        self._tried_at = time.monotonic()
        try:
            self._keys = usable_keys(await asyncio.to_thread(self._client.get_jwk_set))
            self._fetched_at = time.monotonic()
        except (PyJWTError, ValueError) as error:
            _log.warning("key set unreachable", extra={"cause": type(error).__name__})


def parse_key_set(content: bytes) -> dict[str, PyJWK]:
    """The usable keys of a JSON Web Key Set, by id. Raises ValueError if it is none, or has no key at all."""
    parsed = json.loads(content)
    if not isinstance(parsed, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - it is about the content, not a type of ours
    try:
        return usable_keys(PyJWKSet.from_dict(parsed))
    except PyJWTError as error:
        raise ValueError("not a JSON Web Key Set") from error


def usable_keys(keys: PyJWKSet) -> dict[str, PyJWK]:
    """The keys of a set that may verify tokens, by id."""
    return {key.key_id: key for key in keys if key.key_id and _is_usable(key)}


def _is_usable(key: PyJWK) -> bool:
    if key.public_key_use not in {"sig", None}:
        return False
    match key.key, key.algorithm_name:
        case Ed25519PublicKey(), "EdDSA":
            return True
        case EllipticCurvePublicKey() as public, "ES256":
            return isinstance(public.curve, SECP256R1)
        case RSAPublicKey() as public, "RS256":
            return public.key_size >= _SMALLEST_RSA_BITS
        case _:
            return False


def _unreachable() -> Unavailable:
    return Unavailable(
        "JWKS_UNREACHABLE",
        "the keys that verify access tokens cannot be read",
        fix="check the setting auth.jwks and that what it names is reachable from the gateway",
        retry_after=_RETRY_S,
    )
