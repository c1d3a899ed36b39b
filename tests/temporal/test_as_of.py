"""Get and Diff: the version in force at any moment of both times, and what leads from one to another."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from intelgraph.errors import InvalidArgument, NotFound
from intelgraph.gateway.v1 import entity_pb2
from intelgraph.temporal.entities import EntityName, Moment
from intelgraph.tenants.registry import Tenant
from tests.parts.ledger import TESTER
from tests.temporal.naive_history import as_patch, patched
from tests.temporal.world import Document, World, contract, delete, now_us, upsert

STATION = EntityName("stations", b'"EWR"')


async def version(
    world: World, tenant: Tenant, moment: Moment, name: EntityName = STATION
) -> entity_pb2.EntityVersion:
    """The version in force."""
    answer = await world.entities.get(tenant, name, moment)
    return entity_pb2.GetResponse.FromString(answer.message).version


async def document(world: World, tenant: Tenant, moment: Moment) -> Document | None:
    """The document in force: None after a delete, or where there was no version."""
    try:
        found = await version(world, tenant, moment)
    except NotFound:
        return None
    return json.loads(found.document) if found.document else None


async def difference(world: World, tenant: Tenant, before: Moment, after: Moment) -> entity_pb2.DiffResponse:
    """The difference between two moments."""
    answer = await world.entities.diff(tenant, STATION, before, after)
    return entity_pb2.DiffResponse.FromString(answer.message)


@pytest.fixture
def told() -> list[Document]:
    """What is recorded of EWR, in this order, each in a batch of its own."""
    return [
        {"id": "EWR", "at": 100, "temp": 1, "sky": ["clear"]},
        {"id": "EWR", "at": 300, "temp": 3},
        {"id": "EWR", "at": 200, "temp": 2, "late": True},
        {"id": "EWR", "at": 300, "temp": 33, "corrected": True},
    ]


@pytest.fixture
async def recorded(world: World, tenant: Tenant, told: list[Document]) -> list[int]:
    """When each was recorded, in microseconds; then a delete valid at 400, and a new beginning at 500."""
    moments = [(await world.ingest(tenant, upsert(each))).recorded_us for each in told]
    moments.append((await world.ingest(tenant, delete("EWR", 400))).recorded_us)
    again = {"id": "EWR", "at": 500, "temp": 5}
    moments.append((await world.ingest(tenant, upsert(again))).recorded_us)
    return moments


async def test_now_is_the_greatest_valid_time(world: World, tenant: Tenant, recorded: list[int]) -> None:
    found = await version(world, tenant, Moment())
    assert json.loads(found.document) == {"id": "EWR", "at": 500, "temp": 5}
    assert (found.seq, found.version, found.operation) == (6, 5, entity_pb2.CHANGE_OPERATION_INSERT)
    assert (found.valid_at_us, found.recorded_us, found.dataset) == (500, recorded[5], "stations")
    published = await world.contracts.get(tenant, "stations")
    assert found.contract_digest == published.digest
    assert UUID(found.entity_id) == await world.entity_id(tenant, 6)
    by_id = await version(world, tenant, Moment(), EntityName("stations", UUID(found.entity_id)))
    assert by_id == found


async def test_every_moment_of_both_times(
    world: World, tenant: Tenant, told: list[Document], recorded: list[int]
) -> None:
    first, second, late, corrected = told
    begun_again = {"id": "EWR", "at": 500, "temp": 5}
    expected: dict[tuple[int | None, int | None], Document | None] = {
        # valid, recorded (by the number of batches): document
        (99, None): None,
        (100, None): first,
        (199, None): first,
        (200, None): late,
        (299, None): late,
        (300, None): corrected,
        (400, None): None,
        (499, None): None,
        (500, None): begun_again,
        (2**62, None): begun_again,
        (None, 0): None,
        (None, 1): first,
        (None, 2): second,
        (None, 3): second,
        (None, 4): corrected,
        (None, 5): None,
        (None, 6): begun_again,
        (250, 2): first,
        (250, 3): late,
        (300, 3): second,
        (300, 4): corrected,
        (450, 4): corrected,
        (450, 5): None,
        (99, 6): None,
    }
    for (valid_us, batches), what in expected.items():
        bound = None if batches is None else recorded[batches - 1] if batches else recorded[0] - 1
        found = await document(world, tenant, Moment(recorded_us=bound, valid_us=valid_us))
        assert found == what, (valid_us, batches)


async def test_a_delete_is_a_version_without_a_document(
    world: World, tenant: Tenant, recorded: list[int]
) -> None:
    found = await version(world, tenant, Moment(valid_us=400))
    assert (found.operation, found.document) == (entity_pb2.CHANGE_OPERATION_DELETE, b"")
    await world.ingest(tenant, delete("EWR", 150))
    found = await version(world, tenant, Moment(valid_us=199))
    assert (found.operation, found.document) == (entity_pb2.CHANGE_OPERATION_LATE_DELETE, b"")
    assert (found.valid_at_us, found.version) == (150, 1)


async def test_without_an_event_time_a_record_is_true_from_its_recording(
    world: World, tenant: Tenant
) -> None:
    before = now_us()
    await world.ingest(tenant, upsert({"id": "EWR", "temp": 1}))
    await world.ingest(tenant, delete("EWR"))
    await world.ingest(tenant, upsert({"id": "EWR", "temp": 2}))
    found = await version(world, tenant, Moment())
    assert found.valid_at_us == found.recorded_us > before
    gone = await version(world, tenant, Moment(valid_us=found.valid_at_us - 1))
    assert gone.operation == entity_pb2.CHANGE_OPERATION_DELETE


async def test_many_versions_are_rebuilt_from_the_nearest_base(world: World, tenant: Tenant) -> None:
    told = [{"id": "EWR", "at": at, "n": at % 7, f"f{at % 3}": "x" * at} for at in range(1, 101)]
    await world.ingest(tenant, *map(upsert, told))
    for at in (1, 2, 31, 32, 33, 34, 64, 65, 66, 99, 100):
        assert await document(world, tenant, Moment(valid_us=at)) == told[at - 1]


async def test_an_empty_answer_says_why(world: World, tenant: Tenant, recorded: list[int]) -> None:
    cases: list[tuple[EntityName, Moment, str]] = [
        (STATION, Moment(valid_us=99), "NO_VERSION_AS_OF"),
        (EntityName("stations", b'"JFK"'), Moment(), "ENTITY_UNKNOWN"),
        (EntityName("stations", uuid4()), Moment(valid_us=99), "ENTITY_UNKNOWN"),
        (EntityName("planes", b'"EWR"'), Moment(), "DATASET_NOT_FOUND"),
        (EntityName("", b'"EWR"'), Moment(), "DATASET_NOT_FOUND"),
    ]
    for name, moment, reason in cases:
        with pytest.raises(NotFound) as caught:
            await world.entities.get(tenant, name, moment)
        assert caught.value.reason == reason
    with pytest.raises(NotFound) as caught:
        await world.entities.diff(tenant, STATION, Moment(valid_us=1), Moment(valid_us=2))
    assert caught.value.reason == "NO_VERSION_AS_OF"


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        (b"", "JSON_EMPTY"),
        (b"{", "JSON_SYNTAX"),
        (b"null", "ENTITY_KEY_MISSING"),
        (b'{"name":"EWR"}', "ENTITY_KEY_MISSING"),
        (b'{"id":["EWR"]}', "ENTITY_KEY_NOT_SCALAR"),
    ],
)
async def test_a_key_that_is_none_is_refused_without_being_quoted(
    world: World, tenant: Tenant, key: bytes, rule: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await world.entities.get(tenant, EntityName("stations", key), Moment())
    assert caught.value.reason == "ENTITY_KEY_INVALID"
    (violation,) = caught.value.violations
    assert violation.pointer.startswith("/entity/key")
    assert violation.description.startswith(rule)
    assert "EWR" not in str(caught.value) + violation.description


async def test_a_key_names_the_same_entity_however_it_is_written(
    world: World, tenant: Tenant, recorded: list[int]
) -> None:
    keys = (b'"EWR"', b' "\\u0045WR" ', b'{"id":"EWR"}', b'{"temp": 1, "id": "EWR"}')
    found = {(await version(world, tenant, Moment(), EntityName("stations", key))).seq for key in keys}
    assert found == {6}


async def test_two_datasets_may_speak_of_one_entity(world: World) -> None:
    tenant = await world.tenant("stations", "sensors")
    await world.ingest(tenant, upsert({"id": "EWR", "at": 1, "of": "stations"}))
    await world.ingest(tenant, upsert({"id": "EWR", "at": 1, "of": "sensors"}), dataset="sensors")
    stations = await version(world, tenant, Moment(), EntityName("stations", b'"EWR"'))
    sensors = await version(world, tenant, Moment(), EntityName("sensors", b'"EWR"'))
    assert stations.entity_id == sensors.entity_id
    assert (stations.dataset, sensors.dataset) == ("stations", "sensors")
    assert (json.loads(stations.document)["of"], json.loads(sensors.document)["of"]) == (
        "stations",
        "sensors",
    )


async def test_another_tenant_sees_nothing(world: World, tenant: Tenant, recorded: list[int]) -> None:
    stranger = await world.tenant()
    entity_id = await world.entity_id(tenant, 1)
    for by in (b'"EWR"', entity_id):
        with pytest.raises(NotFound) as caught:
            await world.entities.get(stranger, EntityName("stations", by), Moment())
        assert caught.value.reason == "ENTITY_UNKNOWN"
    # The same key is another entity to another tenant.
    await world.ingest(stranger, upsert({"id": "EWR", "at": 1}))
    assert await world.entity_id(stranger, 1) != entity_id


async def test_contracts_of_every_version_are_named_by_their_digest(world: World, tenant: Tenant) -> None:
    await world.ingest(tenant, upsert({"id": "EWR", "at": 1}))
    first = await version(world, tenant, Moment())
    await world.publisher.publish(tenant, contract(tenant.name, version="1.1.0", dedupe=False), by=TESTER)
    await world.ingest(tenant, upsert({"id": "EWR", "at": 2}))
    second = await version(world, tenant, Moment())
    assert second.contract_digest == (await world.contracts.get(tenant, "stations", "1.1.0")).digest
    assert first.contract_digest == (await world.contracts.get(tenant, "stations", "1.0.0")).digest


MOMENTS = [None, 99, 100, 200, 300, 400, 500]


@pytest.mark.parametrize("after_us", MOMENTS)
@pytest.mark.parametrize("before_us", MOMENTS)
async def test_a_diff_leads_from_one_version_to_the_other(
    world: World, tenant: Tenant, recorded: list[int], before_us: int | None, after_us: int | None
) -> None:
    before, after = Moment(valid_us=before_us), Moment(valid_us=after_us)
    if before_us == after_us == 99:
        return
    old, new = await document(world, tenant, before), await document(world, tenant, after)
    found = await difference(world, tenant, before, after)
    assert found.HasField("from") == (before_us != 99)
    assert found.HasField("to") == (after_us != 99)
    patch: list[dict[str, Any]] = json.loads(found.json_patch)
    assert patched(old, patch) == new
    assert patched(old, as_patch(found.diff)) == new
    assert patched(new, as_patch(found.diff, reverse=True)) == old
    assert (old == new) == (patch == [])
    replaced = [step["path"] for step in patch if step["op"] in {"replace", "remove"}]
    assert replaced == [step["path"] for step in patch if step["op"] == "test"]


async def test_arrays_with_a_key_are_compared_by_it(world: World, tenant: Tenant) -> None:
    crew = [{"name": "Ann", "role": "pilot"}, {"name": "Bob", "role": "cook"}]
    await world.ingest(tenant, upsert({"id": "EWR", "at": 1, "crew": crew}))
    crew = [{"name": "Eve", "role": "spy"}, {"name": "Ann", "role": "pilot"}, {"name": "Bob", "role": "chef"}]
    await world.ingest(tenant, upsert({"id": "EWR", "at": 2, "crew": crew}))
    found = await difference(world, tenant, Moment(valid_us=1), Moment())
    assert json.loads(found.diff)[1:] == [
        ["a", "/crew/0", crew[0]],
        ["r", "/crew/2/role", "cook", "chef"],
    ]
    assert patched(await document(world, tenant, Moment(valid_us=1)), json.loads(found.json_patch)) == (
        await document(world, tenant, Moment())
    )
