"""What somebody does to the tables who may write them: reads refuse it, and the check of the log names it."""

from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from intelgraph.errors import DataLoss, IntelGraphError
from intelgraph.storage.settings import StorageSettings
from intelgraph.temporal.entities import EntityName, Moment
from intelgraph.temporal.verify import LogVerdict
from intelgraph.tenants.registry import Tenant
from tests.temporal.world import World, upsert

STATION = EntityName("stations", b'"EWR"')
OTHER = EntityName("stations", b'"JFK"')
VERSIONS = 40

Execute = Callable[..., Awaitable[None]]


@pytest.fixture
async def tamper(storage_settings: StorageSettings, tenant: Tenant) -> Execute:
    """Executes SQL as the owner of the tables, with $1 for the tenant, and row-level security satisfied."""

    async def execute(statement: str, *arguments: object) -> None:
        dsn = storage_settings.owner_dsn
        assert dsn is not None
        connection = await asyncpg.connect(dsn.get_secret_value())
        try:
            await connection.execute(f"SET intelgraph.tenant = '{tenant.tenant_id}'")
            await connection.execute(statement, tenant.tenant_id, *arguments)
        finally:
            await connection.close()

    return execute


@pytest.fixture(autouse=True)
async def recorded(world: World, tenant: Tenant) -> None:
    """EWR has changes 1 to 40, with a snapshot at 33; JFK has 41 and 42; and 43 is a late version of EWR."""
    # Diffs are small beside what does not change, so that a chain is as long as it gets.
    constant = {"constant": "x" * 4000}
    await world.ingest(
        tenant,
        *(
            upsert({"id": "EWR", "at": 10 * n, "n": f"secret-value {n}", **constant})
            for n in range(1, VERSIONS + 1)
        ),
    )
    await world.ingest(tenant, *(upsert({"id": "JFK", "at": at, **constant}) for at in (1, 2)))
    await world.ingest(tenant, upsert({"id": "EWR", "at": 15, "late": True}))
    assert await snapshots(world, tenant) == [33]
    assert (await world.verifier.verify(tenant)).findings == ()


async def refused(reading: Awaitable[object], seq: int) -> None:
    """A read that a change is to blame for."""
    with pytest.raises(DataLoss) as caught:
        await reading
    assert caught.value.reason == "DATA_CORRUPT"
    assert caught.value.metadata == {"seq": str(seq)}
    assert "secret-value" not in str(caught.value)


async def found(world: World, tenant: Tenant) -> list[tuple[str, int, int]]:
    """What the check of the log finds."""
    verdict: LogVerdict = await world.verifier.verify(tenant)
    return [(finding.reason, finding.first_seq, finding.last_seq) for finding in verdict.findings]


async def snapshots(world: World, tenant: Tenant) -> list[int]:
    """Which changes have one."""
    async with world.database.read(tenant.tenant_id) as connection:
        rows = await connection.fetch(
            "SELECT seq FROM entity_change_log WHERE tenant_id = $1 AND snapshot IS NOT NULL ORDER BY seq",
            tenant.tenant_id,
        )
    return [row["seq"] for row in rows]


SWAP = """
UPDATE entity_change_log AS log SET sealed = other.sealed
FROM entity_change_log AS other
WHERE log.tenant_id = $1 AND other.tenant_id = $1
  AND (log.seq, other.seq) IN (($2::bigint, $3::bigint), ($3, $2))
"""


async def test_two_versions_swapped_do_not_open(world: World, tenant: Tenant, tamper: Execute) -> None:
    await tamper(SWAP, 2, 3)
    await refused(world.entities.get(tenant, STATION, Moment(valid_us=30)), 2)
    await refused(world.entities.history(tenant, STATION, None, 500, with_documents=False), 3)
    await refused(_feed(world, tenant, 0), 2)
    # What does not lean on them is still there.
    await world.entities.get(tenant, STATION, Moment(valid_us=10))
    await world.entities.get(tenant, OTHER, Moment())
    assert await found(world, tenant) == [("CHANGE_ALTERED", 2, 2), ("CHANGE_ALTERED", 3, 3)]


async def test_whole_rows_swapped_do_not_open(world: World, tenant: Tenant, tamper: Execute) -> None:
    await tamper(SWAP.replace("sealed = other.sealed", "sealed = other.sealed, leaf = other.leaf"), 41, 42)
    await refused(world.entities.get(tenant, OTHER, Moment()), 41)
    # Each row's leaf is the other's now, so that the tree shows it as well.
    assert [reason for reason, *_ in await found(world, tenant)] == [
        "CHANGE_ALTERED",
        "CHANGE_ALTERED",
        "ROOT_DIFFERS",
    ]


async def test_a_snapshot_in_a_diffs_place_does_not_open(
    world: World, tenant: Tenant, tamper: Execute
) -> None:
    await tamper("UPDATE entity_change_log SET sealed = snapshot WHERE tenant_id = $1 AND seq = 33")
    await refused(world.entities.get(tenant, STATION, Moment()), 33)
    await refused(world.entities.history(tenant, STATION, None, 500, with_documents=False), 33)
    assert await found(world, tenant) == [("CHANGE_ALTERED", 33, 33)]


async def test_a_diff_in_a_snapshots_place_does_not_open(
    world: World, tenant: Tenant, tamper: Execute
) -> None:
    await tamper("UPDATE entity_change_log SET snapshot = sealed WHERE tenant_id = $1 AND seq = 33")
    await refused(world.entities.get(tenant, STATION, Moment()), 33)
    assert await found(world, tenant) == [("SNAPSHOT_ALTERED", 33, 33)]


async def test_a_snapshot_taken_away_leaves_no_base(world: World, tenant: Tenant, tamper: Execute) -> None:
    await tamper("UPDATE entity_change_log SET snapshot = NULL WHERE tenant_id = $1 AND seq = 33")
    await refused(world.entities.get(tenant, STATION, Moment()), 40)
    assert await found(world, tenant) == [("SNAPSHOT_ALTERED", 33, 33)]


async def test_a_version_that_claims_another_base_is_refused(
    world: World, tenant: Tenant, tamper: Execute
) -> None:
    await tamper("UPDATE entity_change_log SET since_base = 3 WHERE tenant_id = $1 AND seq = 20")
    await refused(world.entities.get(tenant, STATION, Moment(valid_us=200)), 17)


async def test_a_row_taken_away_is_missed(world: World, tenant: Tenant, tamper: Execute) -> None:
    await tamper("DELETE FROM entity_change_log WHERE tenant_id = $1 AND seq = 3")
    await refused(world.entities.get(tenant, STATION, Moment(valid_us=50)), 4)
    await refused(world.entities.history(tenant, STATION, None, 500, with_documents=False), 4)
    await refused(_feed(world, tenant, 0), 3)
    assert await found(world, tenant) == [("CHANGE_MISSING", 3, 3)]
    assert (await world.verifier.verify(tenant)).root is None


async def test_the_newest_rows_taken_away_are_missed(world: World, tenant: Tenant, tamper: Execute) -> None:
    await tamper("DELETE FROM entity_change_log WHERE tenant_id = $1 AND seq >= 42")
    assert await found(world, tenant) == [("CHANGE_MISSING", 42, 43)]
    await refused(_feed(world, tenant, 0), 42)


async def test_all_rows_taken_away_are_missed(world: World, tenant: Tenant, tamper: Execute) -> None:
    await tamper("DELETE FROM entity_change_log WHERE tenant_id = $1")
    assert await found(world, tenant) == [("CHANGE_MISSING", 1, 43)]


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ("valid_at = valid_at + interval '1 microsecond'", "CHANGE_ALTERED"),
        ("version = version + 1", "CHANGE_ALTERED"),
        ("op = 4", "CHANGE_ALTERED"),
        ("entity_id = gen_random_uuid()", "CHANGE_ALTERED"),
        ("sealed = set_byte(sealed, octet_length(sealed) - 1, 0)", "CHANGE_ALTERED"),
        ("sealed = set_byte(sealed, 0, 9)", "CHANGE_ALTERED"),
        ("sealed = set_byte(sealed, 5, get_byte(sealed, 5) # 1)", "CHANGE_ALTERED"),
        ("sealed = ''", "CHANGE_ALTERED"),
        ("dataset_id = 77", "DATASET_UNKNOWN"),
        ("leaf = sha256(leaf)", "LEAF_DIFFERS"),
        ("recorded = recorded - interval '1 hour'", "RECORDED_NOT_LATER"),
    ],
)
async def test_every_altered_column_that_means_something_is_found(
    world: World, tenant: Tenant, tamper: Execute, change: str, finding: str
) -> None:
    await tamper(f"UPDATE entity_change_log SET {change} WHERE tenant_id = $1 AND seq = 5")  # noqa: S608
    assert await found(world, tenant) == [(finding, 5, 5)]


async def test_a_row_put_in_is_found(world: World, tenant: Tenant, tamper: Execute) -> None:
    copied = """
    INSERT INTO entity_change_log
    SELECT tenant_id, $2::bigint, recorded + interval '1 day', valid_at, entity_id, dataset_id, contract_id,
      stream_no, version, batch_sequence, op, since_base, leaf, sealed, snapshot
    FROM entity_change_log WHERE tenant_id = $1 AND seq = 43
    """
    await tamper(copied, 44)
    assert await found(world, tenant) == [("CLOCK_BEHIND_LOG", 44, 44)]
    await tamper("DELETE FROM entity_change_log WHERE tenant_id = $1 AND seq = 44")
    await tamper(copied, 43)
    assert await found(world, tenant) == [("CHANGE_REPEATED", 43, 43)]


async def test_a_log_that_was_set_back_with_its_clock_shows_in_the_tree(
    world: World, tenant: Tenant, tamper: Execute
) -> None:
    await tamper("UPDATE tenant_clock SET frontier = set_byte(frontier, 8, get_byte(frontier, 8) # 1)"
                 " WHERE tenant_id = $1")  # fmt: skip
    # 43 changes are subtrees of 32, 8, 2 and 1: the first is the one that differs.
    assert await found(world, tenant) == [("ROOT_DIFFERS", 1, 32)]
    await tamper("UPDATE tenant_clock SET seq = 42 WHERE tenant_id = $1")
    assert await found(world, tenant) == [("CLOCK_BEHIND_LOG", 43, 43), ("FRONTIER_UNFIT", 42, 42)]
    await tamper("UPDATE tenant_clock SET frontier = 'x' WHERE tenant_id = $1")
    assert ("FRONTIER_UNFIT", 42, 42) in await found(world, tenant)


async def test_a_lost_data_key_is_found_and_named(world: World, tenant: Tenant, tamper: Execute) -> None:
    await tamper("DELETE FROM data_key WHERE tenant_id = $1")
    # The process that sealed holds the key; another one has to load it.
    world.keystore.revoke(tenant.tenant_id.bytes)
    await refused(world.entities.get(tenant, OTHER, Moment()), 41)
    findings = await found(world, tenant)
    assert [reason for reason, *_ in findings] == ["CHANGE_ALTERED"] * 43


async def test_findings_are_bounded(world: World, tenant: Tenant, tamper: Execute) -> None:
    await tamper("UPDATE entity_change_log SET leaf = sha256(leaf), sealed = '' WHERE tenant_id = $1")
    verdict = await world.verifier.verify(tenant)
    assert (len(verdict.findings), verdict.omitted, verdict.changes) == (44, 0, 43)
    assert verdict.findings[-1].reason == "ROOT_DIFFERS"


async def _feed(world: World, tenant: Tenant, after_seq: int) -> None:
    async for _ in world.feed.changes(tenant, after_seq, [], until_now=True):
        pass


async def test_an_owner_who_denies_the_key_denies_the_check(
    world: World, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    denied = DataLoss("KEY_ROW_CORRUPT", "no key", fix="")

    async def authorise(_: object) -> None:
        raise denied

    monkeypatch.setattr(world.keys, "authorise", authorise)
    for reading in (
        world.verifier.verify(tenant),
        world.entities.get(tenant, STATION, Moment()),
        _feed(world, tenant, 0),
    ):
        with pytest.raises(IntelGraphError) as caught:
            await reading
        assert caught.value is denied
