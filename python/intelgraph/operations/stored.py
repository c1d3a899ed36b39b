"""Typed values as canonical JSON (members sorted, no space), the form in which they are stored."""

from functools import cache
from typing import Any, TypeVar, cast

import orjson
from pydantic import TypeAdapter

T = TypeVar("T")


def to_stored(value: object) -> str:
    """The dataclass as JSON."""
    plain = _adapter(cast(Any, type(value))).dump_python(value, mode="json")
    return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS).decode()


def from_stored(kind: type[T], text: str) -> T:
    """The dataclass that was stored. Raises pydantic.ValidationError for what it never wrote."""
    value: T = _adapter(cast(Any, kind)).validate_json(text)
    return value


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
