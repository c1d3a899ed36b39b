"""Validation by the fastest pair that a Python team would take: orjson and jsonschema-rs."""

from collections.abc import Sequence

import jsonschema_rs
import orjson

from benches.records import Document


class OrjsonJsonschemaRs:
    """Parses each record into Python objects and asks the compiled schema for a verdict, without a report."""

    def __init__(self, schema: Document) -> None:
        self._validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)

    def verdicts(self, records: Sequence[bytes]) -> list[bool]:
        """Whether each record satisfies the schema.

        Raises:
            orjson.JSONDecodeError: if a record is not JSON.
        """
        loads, is_valid = orjson.loads, self._validator.is_valid
        return [is_valid(loads(record)) for record in records]
