"""The baselines do the whole of the work that they are timed for."""

from typing import Any

import pytest
import tink

from benches.baselines.contract import OrjsonJsonschemaRs
from benches.baselines.envelope import EsdkSealer, Sealable, Sealer, TinkSealer
from benches.baselines.naive_pipeline.field_diff import field_diff
from benches.baselines.temporal import Pair, deepdiff_batch, jsondiff_batch
from benches.records import CHANGED_FIELDS, Shipment, schema

VALUES = [Sealable(b"one", b"entity 1"), Sealable(b"two", b"entity 2")]


@pytest.mark.parametrize("sealer", [TinkSealer(), EsdkSealer("tenant")], ids=["tink", "aws_esdk"])
def test_sealers_open_what_they_sealed(sealer: Sealer) -> None:
    sealed = sealer.seal(VALUES)
    assert not any(value.plaintext in blob for blob, value in zip(sealed, VALUES, strict=True))
    assert sealer.open(sealed, VALUES) == [value.plaintext for value in VALUES]


def test_tink_binds_a_value_to_its_place() -> None:
    sealer = TinkSealer()
    with pytest.raises(tink.TinkError):
        sealer.open(sealer.seal(VALUES), VALUES[::-1])


def test_validation_tells_good_records_from_bad() -> None:
    good = Shipment(0, 1).encode()
    bad = good.replace(b'"mode":', b'"mood":')
    assert OrjsonJsonschemaRs(schema()).verdicts([good, bad]) == [True, False]


def test_diff_libraries_find_the_changed_fields() -> None:
    shipment = Shipment(0, 1)
    pair = Pair(shipment.document(), shipment.next().document())
    assert set(jsondiff_batch([pair])[0]) == set(CHANGED_FIELDS)
    places = deepdiff_batch([pair])[0]["values_changed"]
    assert {place.split("'")[1] for place in places} == set(CHANGED_FIELDS)


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [{"op": "replace", "path": "/a", "value": 2}]),
        ({"a": 1}, {"b": 1}, [{"op": "add", "path": "/b", "value": 1}, {"op": "remove", "path": "/a"}]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, [{"op": "replace", "path": "/a/b/1", "value": 3}]),
        ({"a": [1]}, {"a": [1, 2]}, [{"op": "replace", "path": "/a", "value": [1, 2]}]),
    ],
)
def test_the_plain_diff(old: dict[str, Any], new: dict[str, Any], changes: list[dict[str, Any]]) -> None:
    assert field_diff(old, new) == changes
