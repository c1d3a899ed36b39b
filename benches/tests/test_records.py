"""The records are what the benchmarks say they are."""

from pathlib import Path

import orjson
import pytest
from jsonschema_rs import Draft202012Validator

from benches.ingest_load import VERSIONS
from benches.records import CHANGED_FIELDS, FIELDS, MAX_BYTES, MIN_BYTES, Shipment, contract_document, schema

ENTITIES = 2_000
CONTRACT_SCHEMA = Path(__file__).parents[2] / "crates" / "contract" / "schema" / "ig.contract.v1.schema.json"


def changed_fields(one: Shipment, other: Shipment) -> tuple[str, ...]:
    """The names of the fields in which two records differ."""
    left, right = one.document(), other.document()
    assert left.keys() == right.keys()
    return tuple(name for name in left if left[name] != right[name])


@pytest.mark.parametrize("version", range(VERSIONS))
def test_every_record_is_about_a_kibibyte_and_keeps_the_schema(version: int) -> None:
    validator = Draft202012Validator(schema(), validate_formats=True)
    for index in range(ENTITIES):
        encoded = Shipment(0, index, version).encode()
        assert MIN_BYTES <= len(encoded) <= MAX_BYTES
        document = orjson.loads(encoded)
        assert len(document) == FIELDS
        validator.validate(document)


@pytest.mark.parametrize("version", range(VERSIONS))
def test_three_fields_change_from_each_version_to_the_one_sent_next(version: int) -> None:
    sent_next = (version + 1) % VERSIONS
    for index in range(100):
        fields = changed_fields(Shipment(0, index, version), Shipment(0, index, sent_next))
        assert set(fields) == set(CHANGED_FIELDS)


def test_a_record_follows_from_seed_index_and_version() -> None:
    assert Shipment(3, 5, 2).encode() == Shipment(3, 5).next().next().encode()
    assert Shipment(3, 5).document()["shipment_id"] != Shipment(4, 5).document()["shipment_id"]
    assert Shipment(3, 5).document()["shipment_id"] != Shipment(3, 6).document()["shipment_id"]


def test_the_contract_is_one() -> None:
    Draft202012Validator(orjson.loads(CONTRACT_SCHEMA.read_bytes())).validate(contract_document("bench"))
