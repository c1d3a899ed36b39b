"""Page tokens: where the next page begins, in a form that nobody is to take apart.

A token belongs to one tenant and one question: with another it is refused, instead of beginning anywhere.
It is no secret and gives no right: what a page shows is decided anew by whoever asks for it.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from intelgraph.errors import InvalidArgument

Position = tuple[str | int, ...]

_CHECK_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class PageScope:
    """Whose pages, of what: `question` is the method and everything that selects what is listed."""

    tenant_id: UUID
    question: tuple[str, ...]

    def token(self, position: Position) -> str:
        """The token of the page that begins after `position`."""
        place = json.dumps(position, separators=(",", ":")).encode()
        return _text(self._check(place) + place)

    def position(self, token: str, *kinds: type[str] | type[int]) -> Position | None:
        """Where the page begins, a value of each of `kinds`; None for the first page, whose token is empty.

        Raises InvalidArgument PAGE_TOKEN_INVALID.
        """
        if not token:
            return None
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _invalid() from None
        check, place = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
        # base64 has several texts for some bytes; a token has one.
        if check != self._check(place) or _text(raw) != token:
            raise _invalid()
        position = tuple(json.loads(place))
        if tuple(type(value) for value in position) != kinds:
            raise _invalid()
        return position

    def _check(self, place: bytes) -> bytes:
        scope = json.dumps([self.tenant_id.hex, *self.question]).encode()
        return hashlib.blake2b(place, key=hashlib.sha256(scope).digest(), digest_size=_CHECK_BYTES).digest()


def _text(token: bytes) -> str:
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


def page_size(asked: int, *, default: int, most: int) -> int:
    """How many a page holds: what was asked, the default for 0, at most `most`."""
    return min(asked, most) if asked else default


def _invalid() -> InvalidArgument:
    return InvalidArgument(
        "PAGE_TOKEN_INVALID",
        "the page token is not one that this question was answered with",
        fix="pass next_page_token as it came, with the same request, or begin at the first page",
    )
