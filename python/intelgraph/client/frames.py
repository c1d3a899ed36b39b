"""Records and batches in the wire format of `ingest.proto`, assembled without a message object per record.

A connector in Python spends most of its time here, and a `Record` message per record costs four times what
joining bytes does. The field numbers are fixed by the wire contract; a property test reads every frame back
through the generated classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import orjson

from intelgraph.client.times import Moment, to_us
from intelgraph.errors import InvalidArgument
from intelgraph.gateway.v1 import ingest_pb2

EntityKeyJson = Mapping[str, Any] | str | int | float | bool | bytes
"""An entity's key: the members that the contract's mapping names, the bare value where it names one, or
the JSON text of either as bytes."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Says that an entity is gone.

    `valid_at` is when it ceased; without it, the time of recording.
    """

    key: EntityKeyJson
    valid_at: Moment | None = None


Record = Mapping[str, Any] | str | bytes | Delete
"""One record: a JSON document as mapping or as text (UTF-8 where bytes), or a `Delete`."""

BATCH_OVERHEAD: Final = 24
"""Most bytes that a frame has beyond its records: two tags and lengths, and the sequence."""

_BATCH: Final = b"\x12"  # StreamRequest.batch, length-delimited
_SEQUENCE: Final = b"\x08"  # Batch.sequence, varint
_RECORDS: Final = b"\x12"  # Batch.records, length-delimited
_UPSERT: Final = b"\x0a"  # Record.upsert, length-delimited
_DELETE: Final = b"\x12"  # Record.delete, length-delimited


def encode_record(record: Record, index: int) -> bytes:
    """The record as one element of `Batch.records`. `index` is its place among what was sent, for the error.

    JSON text is passed on as it is: the gateway checks it. A mapping is serialised by orjson: `NaN` becomes
    null, `datetime` and `UUID` become strings.

    Raises InvalidArgument (RECORD_NOT_JSON) for what orjson cannot serialise.
    """
    if isinstance(record, bytes):
        return _upsert_head(len(record)) + record
    try:
        if isinstance(record, str):
            document = record.encode()
        elif isinstance(record, Delete):
            return _encode_delete(record)
        else:
            document = orjson.dumps(record, default=_mapping_as_dict)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(
            reason="RECORD_NOT_JSON",
            message=f"record {index} cannot be written as JSON",
            fix="send mappings with string keys, of str, int, float, bool, None, list, datetime or UUID",
            metadata={"record_index": str(index)},
        ) from error
    return _upsert_head(len(document)) + document


def longest_document(max_batch_bytes: int) -> int:
    """Bytes of the longest document that a batch of `max_batch_bytes` holds beside its frame."""
    room = max_batch_bytes - BATCH_OVERHEAD
    return room - len(_upsert_head(room))


def encode_key(key: EntityKeyJson) -> bytes:
    """The key's JSON text. Raises TypeError for what orjson cannot serialise."""
    return key if isinstance(key, bytes) else orjson.dumps(key, default=_mapping_as_dict)


def batch_frame(sequence: int, records: Iterable[bytes], records_bytes: int) -> bytes:
    """A `StreamRequest` that carries the batch. `records_bytes` is the length of all records together."""
    position = _SEQUENCE + _varint(sequence)
    return b"".join((_BATCH, _varint(len(position) + records_bytes), position, *records))


def _encode_delete(record: Delete) -> bytes:
    removal = ingest_pb2.DeleteEntity(key=encode_key(record.key))
    if record.valid_at is not None:
        removal.valid_at_us = to_us(record.valid_at)
    body = removal.SerializeToString()
    operation = _DELETE + _varint(len(body)) + body
    return _RECORDS + _varint(len(operation)) + operation


@lru_cache(maxsize=4096)
def _upsert_head(document_bytes: int) -> bytes:
    operation = _UPSERT + _varint(document_bytes)
    return _RECORDS + _varint(len(operation) + document_bytes) + operation


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _mapping_as_dict(value: object) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)
