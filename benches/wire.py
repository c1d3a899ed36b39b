"""Frames of the ingest wire, made before a run so that sending costs one concatenation per batch."""

from collections.abc import Iterable
from typing import Final

from intelgraph.gateway.v1 import ingest_pb2

STREAM_METHOD: Final = "/intelgraph.gateway.v1.IngestService/Stream"
MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
CHANNEL_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
)

_REQUEST_BATCH_TAG: Final = b"\x12"
"""`StreamRequest.batch`: field 2, length-delimited."""
_BATCH_SEQUENCE_TAG: Final = b"\x08"
"""`Batch.sequence`: field 1, varint."""


def batch_body(documents: Iterable[bytes]) -> bytes:
    """A serialised `Batch` of upserts that lacks only its sequence."""
    records = (ingest_pb2.Record(upsert=document) for document in documents)
    return ingest_pb2.Batch(records=records).SerializeToString()


def batch_frame(sequence: int, body: bytes) -> bytes:
    """A serialised `StreamRequest` that carries `body` under the given sequence (from 1)."""
    numbered = _BATCH_SEQUENCE_TAG + _varint(sequence)
    return b"".join((_REQUEST_BATCH_TAG, _varint(len(numbered) + len(body)), numbered, body))


def open_frame(dataset: str, stream_id: str) -> bytes:
    """A serialised `StreamRequest` that opens a stream under the newest contract."""
    opening = ingest_pb2.OpenStream(dataset=dataset, stream_id=stream_id, producer="bench")
    return ingest_pb2.StreamRequest(open=opening).SerializeToString()


def _varint(value: int) -> bytes:
    """Base-128 varint of a non-negative integer, as protobuf's encoding guide has it."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
