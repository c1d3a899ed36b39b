"""An entity's key as people type it: `EWR`, `42`, `{"carrier":"UA","flight":1545}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
import typer

from intelgraph.cli.csv_records import ColumnType, column_types

if TYPE_CHECKING:
    from intelgraph.client import Client
    from intelgraph.client.entities import EntityKey


def read_key(client: Client, dataset: str, text: str, *, by_id: bool) -> EntityKey:
    """The key that `text` names; with `by_id`, the identifier.

    An object or a quoted string is JSON. Of anything else the contract says whether it is text: `369` is the
    code of an airport, and the number of a flight. Raises BadParameter, and NotFound without a contract.
    """
    if by_id:
        try:
            return UUID(text)
        except ValueError as error:
            raise typer.BadParameter("KEY is not a UUID") from error
    if not text.startswith(("{", '"')) and _is_text(client.contracts.get(dataset).json()):
        return text
    try:
        return orjson.dumps(orjson.loads(text))
    except orjson.JSONDecodeError:
        return text


def _is_text(contract: dict[str, Any]) -> bool:
    """Whether the key has one part, and that part is a string by the schema."""
    pointers = contract.get("mapping", {}).get("entity", {}).get("key", [])
    types = column_types(contract.get("schema", {}))
    return len(pointers) == 1 and types.get(pointers[0].removeprefix("/")) is ColumnType.TEXT
