"""A plain structural diff of two JSON documents, in the operations of RFC 6902."""

from typing import Any, NotRequired, TypedDict


class FieldChange(TypedDict):
    """One changed place.

    `op` is `add`, `replace` or `remove`; `path` an RFC 6901 pointer, unescaped, for the field names of a
    contract are plain; `value` the new value, absent for `remove`."""

    op: str
    path: str
    value: NotRequired[Any]


def field_diff(old: dict[Any, Any], new: dict[Any, Any], path: str = "") -> list[FieldChange]:
    """What turns `old` into `new`: nested objects field by field, arrays of equal length element by element,
    anything else by replacement."""
    changes: list[FieldChange] = []
    for key, value in new.items():
        if key not in old:
            changes.append({"op": "add", "path": f"{path}/{key}", "value": value})
            continue
        before = old[key]
        if before == value:
            continue
        place = f"{path}/{key}"
        if isinstance(before, dict) and isinstance(value, dict):
            changes += field_diff(before, value, place)
        elif isinstance(before, list) and isinstance(value, list) and len(before) == len(value):
            changes += field_diff(dict(enumerate(before)), dict(enumerate(value)), place)
        else:
            changes.append({"op": "replace", "path": place, "value": value})
    changes += [{"op": "remove", "path": f"{path}/{key}"} for key in old if key not in new]
    return changes
