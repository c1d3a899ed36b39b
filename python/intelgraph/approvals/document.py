"""What exactly is to happen, as the bytes that an approval binds to.

A document is a JSON object within I-JSON. It is kept in the form of RFC 8785 and known by the SHA-256 of that
form: two plans that say the same have one digest, however they were written.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from intelgraph._core import CoreError, canonical_json
from intelgraph.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_BYTES: Final = 256 * 1024
"""A person has to read it."""


@dataclass(frozen=True, slots=True)
class PlanDocument:
    """A document, in the form of RFC 8785, and its SHA-256."""

    content: bytes
    digest: bytes

    @classmethod
    def of(cls, plan: "Mapping[str, Any]") -> Self:
        """The document of a plan that the gateway made. Raises as `read`."""
        try:
            written = json.dumps(plan, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise _invalid("it holds what JSON cannot") from error
        return cls.read(written)

    @classmethod
    def read(cls, written: bytes) -> Self:
        """The document that somebody wrote. Raises InvalidArgument APPROVAL_DOCUMENT_INVALID."""
        if len(written) > LARGEST_BYTES:
            raise _invalid(f"it has {len(written)} bytes, and may have {LARGEST_BYTES}")
        try:
            content = canonical_json(written)
        except CoreError as error:
            raise _invalid(str(error.args[0])) from error
        if not content.startswith(b"{"):
            raise _invalid("it is not a JSON object")
        return cls(content, hashlib.sha256(content).digest())

    def members(self) -> dict[str, Any]:
        """What it says."""
        members: dict[str, Any] = json.loads(self.content)
        return members


def _invalid(why: str) -> InvalidArgument:
    return InvalidArgument(
        "APPROVAL_DOCUMENT_INVALID",
        f"the document cannot be approved: {why}",
        fix="send one JSON object within I-JSON (RFC 7493) that says what is to happen",
    )
