"""The order of semantic versions as bytes, so that a database sorts them (Semantic Versioning 2.0.0 §11)."""

from typing import Final

_RELEASE: Final = b"\xff"
_END: Final = b"\x00"
_NUMERIC: Final = b"\x01"
_ALPHANUMERIC: Final = b"\x02"


def precedence(version: str) -> bytes:
    """Bytes that compare as the versions do. `version` is valid and has no build metadata.

    The three numbers come first. A release follows all of its pre-releases; the identifiers of a pre-release
    compare one by one, numbers before text, and a list that ends sooner comes first.
    """
    core, _, pre_release = version.partition("-")
    numbers = b"".join(_number(part) for part in core.split("."))
    if not pre_release:
        return numbers + _RELEASE
    return numbers + b"".join(_identifier(part) for part in pre_release.split(".")) + _END


def _number(digits: str) -> bytes:
    # Without leading zeros, as the standard demands: the longer number is the greater.
    return len(digits).to_bytes(1) + digits.encode()


def _identifier(part: str) -> bytes:
    return _NUMERIC + _number(part) if part.isdigit() else _ALPHANUMERIC + part.encode() + _END
