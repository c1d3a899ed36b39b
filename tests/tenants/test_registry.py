"""Tenants: created, changed, and seen by every gateway soon after."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import asyncpg
import pytest
import pytest_asyncio

from intelgraph.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from intelgraph.provenance.ledger import Ledger
from intelgraph.storage.database import Database
from intelgraph.storage.settings import StorageSettings
from intelgraph.tenants import registry as registry_module
from intelgraph.tenants.limits import LimitChanges, TenantLimits
from intelgraph.tenants.registry import Tenant, TenantRegistry, TenantState
from tests.parts.ledger import TESTER


@pytest_asyncio.fixture
async def registry(database: Database, ledger: Ledger) -> AsyncIterator[TenantRegistry]:
    async with TenantRegistry(database, ledger) as entered:
        yield entered


@pytest_asyncio.fixture
async def elsewhere(storage_settings: StorageSettings, ledger: Ledger) -> AsyncIterator[TenantRegistry]:
    """The registry of another gateway on the same database."""
    async with AsyncExitStack() as opened:
        other = await Database.connect(storage_settings)
        opened.push_async_callback(other.close)
        yield await opened.enter_async_context(TenantRegistry(other, ledger))


async def test_a_tenant_has_a_clock_and_the_default_limits(
    registry: TenantRegistry, database: Database
) -> None:
    created = await registry.create("acme", by=TESTER)
    assert created == await registry.get("acme")
    assert (created.name, created.state, created.limits) == ("acme", TenantState.ACTIVE, TenantLimits())
    async with database.read(created.tenant_id) as connection:
        clock = await connection.fetchrow("SELECT seq, recorded, frontier FROM tenant_clock")
    assert clock is not None
    assert (clock["seq"], clock["recorded"].timestamp(), clock["frontier"]) == (0, 0.0, b"")


@pytest.mark.parametrize("name", ["", "-a", "A", "a_b", "a" * 64, "ä", "a b", "a\n", "a/../b"])
async def test_a_name_that_would_need_quoting_somewhere_is_refused(
    registry: TenantRegistry, name: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await registry.create(name, by=TESTER)
    assert caught.value.reason == "TENANT_NAME_INVALID"


async def test_a_name_is_given_once_even_after_offboarding(registry: TenantRegistry) -> None:
    await registry.create("acme", by=TESTER)
    await registry.offboard("acme", by=TESTER)
    with pytest.raises(AlreadyExists) as caught:
        await registry.create("acme", by=TESTER)
    assert caught.value.reason == "TENANT_EXISTS"


async def test_of_two_who_create_one_tenant_one_does(
    registry: TenantRegistry, elsewhere: TenantRegistry
) -> None:
    outcomes = await asyncio.gather(
        registry.create("acme", by=TESTER), elsewhere.create("acme", by=TESTER), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {Tenant, AlreadyExists}


async def test_the_tenant_of_local_use_is_made_once(registry: TenantRegistry) -> None:
    assert await registry.ensure("local") == await registry.ensure("local")


async def test_an_unknown_tenant_is_denied(registry: TenantRegistry) -> None:
    with pytest.raises(PermissionDenied) as caught:
        await registry.get("nobody")
    assert caught.value.reason == "TENANT_UNKNOWN"
    await registry.create("nobody", by=TESTER)
    assert (await registry.get("nobody")).name == "nobody"


async def test_limits_change_one_by_one(registry: TenantRegistry) -> None:
    await registry.create("acme", LimitChanges(streams=3), by=TESTER)
    changed = await registry.set_limits("acme", LimitChanges(records_per_second=500), by=TESTER)
    assert changed.limits == TenantLimits(streams=3, records_per_second=500)
    assert (await registry.get("acme")).limits == changed.limits


@pytest.mark.parametrize(
    "changes",
    [
        LimitChanges(streams=0),
        LimitChanges(bytes_in_flight=1000),
        LimitChanges(cache_share_percent=101),
        LimitChanges(quarantine_records=2**60),
    ],
)
async def test_a_limit_that_makes_no_sense_is_refused_by_name(
    registry: TenantRegistry, changes: LimitChanges
) -> None:
    await registry.create("acme", by=TESTER)
    with pytest.raises(InvalidArgument) as caught:
        await registry.set_limits("acme", changes, by=TESTER)
    (violation,) = caught.value.violations
    name = violation.pointer.removeprefix("/limits/")
    assert getattr(changes, name) is not None
    assert (await registry.get("acme")).limits == TenantLimits()


async def test_states_move_to_and_fro_until_offboarded(registry: TenantRegistry) -> None:
    await registry.create("acme", by=TESTER)
    for move, state in (
        (registry.suspend, TenantState.SUSPENDED),
        (registry.suspend, TenantState.SUSPENDED),
        (registry.resume, TenantState.ACTIVE),
        (registry.suspend, TenantState.SUSPENDED),
        (registry.offboard, TenantState.OFFBOARDED),
        (registry.offboard, TenantState.OFFBOARDED),
    ):
        assert (await move("acme", by=TESTER)).state is state
        assert (await registry.get("acme")).state is state
    for refused in (
        registry.resume("acme", by=TESTER),
        registry.suspend("acme", by=TESTER),
        registry.set_limits("acme", LimitChanges(streams=1), by=TESTER),
    ):
        with pytest.raises(FailedPrecondition):
            await refused


async def test_a_tenant_is_suspended_while_the_ledger_is_forked(
    registry: TenantRegistry, database: Database
) -> None:
    await registry.create("acme", by=TESTER)
    async with database.write() as connection:
        await connection.execute("UPDATE ledger_log SET fork_index = 7")
    assert (await registry.suspend("acme", by=TESTER)).state is TenantState.SUSPENDED
    with pytest.raises(FailedPrecondition, match="LEDGER_FORKED"):
        await registry.resume("acme", by=TESTER)


async def test_what_is_not_there_cannot_be_changed(registry: TenantRegistry) -> None:
    for refused in (
        registry.suspend("x", by=TESTER),
        registry.set_limits("x", LimitChanges(), by=TESTER),
        registry.offboard("x", by=TESTER),
    ):
        with pytest.raises(NotFound):
            await refused


async def test_pages_hold_every_tenant_once_by_name(registry: TenantRegistry) -> None:
    names = [f"t{number}" for number in range(7)]
    for name in reversed(names):
        await registry.create(name, by=TESTER)
    listed: list[str] = []
    while page := await registry.page(listed[-1] if listed else "", 3):
        listed += [tenant.name for tenant in page]
    assert listed == names


async def test_another_gateway_sees_a_change_at_once(
    registry: TenantRegistry, elsewhere: TenantRegistry
) -> None:
    await registry.create("acme", by=TESTER)
    await elsewhere.get("acme")
    await asyncio.sleep(0.2)  # until it listens
    await registry.suspend("acme", by=TESTER)
    seconds = await _until(lambda: _state(elsewhere) is TenantState.SUSPENDED)
    assert seconds < registry_module.REFRESH_SECONDS / 2


async def test_a_change_whose_notification_was_lost_is_seen_within_two_seconds(
    registry: TenantRegistry, elsewhere: TenantRegistry, storage_settings: StorageSettings
) -> None:
    await registry.create("acme", by=TESTER)
    await elsewhere.get("acme")
    await _as_owner(storage_settings, "ALTER TABLE tenant DISABLE TRIGGER announce_tenant")
    await registry.suspend("acme", by=TESTER)
    assert await _until(lambda: _state(elsewhere) is TenantState.SUSPENDED) < registry_module.FRESH_SECONDS


async def test_what_cannot_be_read_again_is_not_served_for_longer_than_two_seconds(
    registry: TenantRegistry, storage_settings: StorageSettings
) -> None:
    await registry.create("acme", by=TESTER)
    await registry.get("acme")
    await _as_owner(storage_settings, "ALTER TABLE tenant RENAME TO gone")

    async def refused() -> bool:
        try:
            await registry.get("acme")
        except asyncpg.UndefinedTableError:
            return True
        return False

    assert await _until(refused) < registry_module.FRESH_SECONDS + 0.5
    await _as_owner(storage_settings, "ALTER TABLE gone RENAME TO tenant")
    assert (await registry.get("acme")).name == "acme"


async def test_the_registry_listens_again_after_its_connection_broke(
    registry: TenantRegistry, elsewhere: TenantRegistry, database: Database
) -> None:
    await registry.create("acme", by=TESTER)
    await elsewhere.get("acme")
    await asyncio.sleep(0.2)
    async with database.write() as connection:
        ended = await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query ILIKE 'LISTEN%'"
        )
    assert ended
    await asyncio.sleep(registry_module.REFRESH_SECONDS + 0.5)
    await registry.suspend("acme", by=TESTER)
    assert await _until(lambda: _state(elsewhere) is TenantState.SUSPENDED) < 0.5


def _state(registry: TenantRegistry) -> TenantState:
    """What the registry would answer from memory."""
    return registry._kept["acme"].tenant.state


async def _until(condition: Callable[[], object]) -> float:
    """Seconds until the condition holds."""
    began = time.monotonic()
    while True:
        held = condition()
        if asyncio.iscoroutine(held):
            held = await held
        if held:
            return time.monotonic() - began
        assert time.monotonic() - began < 10
        await asyncio.sleep(0.01)


async def _as_owner(settings: StorageSettings, statement: str) -> None:
    assert settings.owner_dsn is not None
    connection = await asyncpg.connect(settings.owner_dsn.get_secret_value())
    await connection.execute(statement)
    await connection.close()
