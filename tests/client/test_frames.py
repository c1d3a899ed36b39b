"""Frames that are assembled by hand read back through the generated classes."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intelgraph.client import Delete, from_us, to_us
from intelgraph.client.frames import BATCH_OVERHEAD, batch_frame, encode_record
from intelgraph.gateway.v1 import ingest_pb2

documents = st.one_of(
    st.binary(max_size=300),
    st.sampled_from([127, 128, 16_383, 16_384, 70_000]).map(lambda size: b"x" * size),
)
deletes = st.builds(Delete, st.binary(max_size=50), st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)))


@given(st.lists(st.one_of(documents, deletes), max_size=20), st.integers(1, 2**64 - 1))
def test_a_frame_reads_back_as_the_batch(records: list[bytes | Delete], sequence: int) -> None:
    encoded = [encode_record(record, index) for index, record in enumerate(records)]
    size = sum(map(len, encoded))
    frame = batch_frame(sequence, encoded, size)
    assert size < len(frame) <= size + BATCH_OVERHEAD
    request = ingest_pb2.StreamRequest.FromString(frame)
    assert request.WhichOneof("message") == "batch"
    assert request.batch.sequence == sequence
    assert list(request.batch.records) == [as_message(record) for record in records]


def as_message(record: bytes | Delete) -> ingest_pb2.Record:
    if isinstance(record, bytes):
        return ingest_pb2.Record(upsert=record)
    assert isinstance(record.key, bytes)
    assert not isinstance(record.valid_at, datetime)
    return ingest_pb2.Record(delete=ingest_pb2.DeleteEntity(key=record.key, valid_at_us=record.valid_at))


def test_a_key_is_written_as_json() -> None:
    encoded = [encode_record(Delete(key), 0) for key in ("EWR", {"a": 1}, 7)]
    batch = ingest_pb2.StreamRequest.FromString(batch_frame(1, encoded, sum(map(len, encoded)))).batch
    assert [record.delete.key for record in batch.records] == [b'"EWR"', b'{"a":1}', b"7"]


@given(st.datetimes(timezones=st.just(UTC)))
def test_moments_are_exact_to_the_microsecond(moment: datetime) -> None:
    assert from_us(to_us(moment)) == moment


def test_a_moment_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        to_us(datetime(2013, 1, 1))  # noqa: DTZ001 - what is refused
