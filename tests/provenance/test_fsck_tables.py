"""Whoever changes a table past the gateway is found by what the ledger says was done to it, row by row."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from intelgraph.approval_statement import key_statement
from intelgraph.approvals.approval import Caller
from intelgraph.approvals.approvals import Approvals
from intelgraph.approvals.keys import ApproverKeys, GivenSignature
from intelgraph.approvals.request import Wanted
from intelgraph.approvals.signing import ED25519, SigningKey
from intelgraph.errors import FailedPrecondition
from intelgraph.flags.changes import FlagChange, ShareChange, TenantChange
from intelgraph.flags.registry import FlagRegistry
from intelgraph.flags.table import flag_of
from intelgraph.keys.checking import CheckingUnsealer
from intelgraph.keys.checkpoint_key import KeyringCheckpointKey
from intelgraph.keys.providers import open_provider
from intelgraph.keys.settings import KeySettings
from intelgraph.policy.rules import Module
from intelgraph.policy.store import RulesStore
from intelgraph.provenance.actor import Actor
from intelgraph.provenance.anchors import Anchors
from intelgraph.provenance.checkpoints import CheckpointSigner
from intelgraph.provenance.fsck.check import LedgerCheck
from intelgraph.provenance.fsck.parts import LedgerParts as Checked
from intelgraph.provenance.fsck.tables import check
from intelgraph.provenance.fsck.verdict import Finding
from intelgraph.provenance.key_entries import KeyEntries
from intelgraph.provenance.log_directory import LogDirectory
from intelgraph.provenance.making_up import make_up
from intelgraph.provenance.sequencer import Sequencer
from intelgraph.storage.database import Database
from intelgraph.storage.embedded import EmbeddedServer
from intelgraph.storage.settings import StorageSettings
from intelgraph.tenants.limits import LimitChanges
from intelgraph.tenants.registry import Tenant
from tests.parts.ledger import TESTER
from tests.provenance.erasing import ALICE, BOB, OFFICERS
from tests.temporal.world import World, contract, running, upsert

PLAN = b'{"summary": "rotate the root key", "steps": ["sign with it"]}'


@dataclass
class Gateway:
    """A gateway that has done something of everything, and its database."""

    checked: Checked
    superuser: "asyncpg.Connection[asyncpg.Record]"

    async def findings(self) -> list[Finding]:
        return (await LedgerCheck(self.checked).run()).findings


@asynccontextmanager
async def acting(database: Database, key_directory: Path) -> AsyncIterator[World]:
    """A gateway whose keys are entries, too."""
    async with running(database, key_directory) as world:
        world.keys.record_with(KeyEntries(world.ledger, database))
        yield world


async def change_flag(world: World, approvals: Approvals, platform: Tenant, change: FlagChange) -> None:
    """Changes a flag as it is done: what weakens is approved first."""
    async with FlagRegistry(world.database, world.ledger, approvals) as flags:
        try:
            await flags.change(change, None, ALICE.actor)
        except FailedPrecondition as refused:
            owner = change.tenant or platform
            wanted = Wanted(
                "flag.change",
                refused.metadata["document"].encode(),
                "it is being mended",
                platform=change.tenant is None,
            )
            asked = await approvals.request(owner, wanted, ALICE)
            await approvals.approve(owner, asked.approval_id, BOB, digest=asked.digest)
            await flags.change(change, asked.approval_id, ALICE.actor)


async def do_everything(world: World) -> None:
    """Something in every table that entries tell of."""
    await make_up(world.ledger, world.database)
    platform = await world.registry.create("local", by=TESTER)
    tenant = await world.tenant(name="acme")
    other = await world.tenant(name="other")
    await world.publisher.publish(tenant, contract("acme", version="1.1.0"), by=TESTER)
    await world.registry.set_limits("acme", LimitChanges(streams=3), by=TESTER)
    await world.registry.suspend("other", by=TESTER)
    await world.registry.resume("other", by=TESTER)
    await world.ingest(tenant, upsert({"id": "a", "at": 1}), upsert({"id": "b", "at": 1}))
    approvals = Approvals(world.database, world.ledger, platform)
    contracts, temporal = flag_of("contracts"), flag_of("temporal")
    until = datetime(2100, 1, 1, tzinfo=UTC)
    for change in (
        TenantChange.of(contracts, tenant, "warn", until),
        TenantChange.of(contracts, other, "enforce", None),
        TenantChange.of(temporal, other, "off", None),
        TenantChange.of(temporal, other, "default", None),
        ShareChange.of(temporal, "off", 10, None),
    ):
        await change_flag(world, approvals, platform, change)
    rules = RulesStore(world.database, world.ledger)
    for text in ("one", "two"):
        await rules.put(tenant, [Module("rules.rego", text)], by=TESTER)
    wanted = Wanted("manual.act", PLAN, "it is old", role="security-officer", quorum=2)
    waiting, taken_back, denied = [await approvals.request(tenant, wanted, ALICE) for _ in range(3)]
    await approvals.approve(tenant, waiting.approval_id, BOB, digest=waiting.digest)
    await approvals.withdraw(tenant, taken_back.approval_id, ALICE)
    await approvals.deny(tenant, denied.approval_id, BOB, reason="not now")
    await approvals.request(tenant, replace(wanted, lifetime=timedelta(seconds=1)), ALICE)
    await asyncio.sleep(1.1)
    assert await approvals.expire() == 1
    keys = ApproverKeys(world.database, world.ledger, approvals)
    for revoked in (False, True):
        key = await register(keys, tenant)
        if revoked:
            await keys.revoke(tenant, ALICE, key.key_id, "lost", None)
    await Anchors(world.database, world.ledger).anchor_due(older_than=0.0)


async def register(keys: ApproverKeys, tenant: Tenant) -> SigningKey:
    """A key of Carol's, each of her first: another person revokes it."""
    key, at_us = SigningKey.generate(ED25519), time.time_ns() // 1000
    caller = Caller(Actor(f"carol {key.key_id.hex()[:4]}", "jwt"), OFFICERS)
    statement = key_statement(
        origin=await keys.origin(tenant),
        tenant=tenant.name,
        action="register",
        approver=caller.person,
        key_id=key.key_id,
        at_us=at_us,
    )
    await keys.register(
        tenant, caller, key.public.der, GivenSignature(key.key_id, at_us, key.sign(statement)), None
    )
    return key


@pytest_asyncio.fixture
async def gateway(
    database: Database, storage_settings: StorageSettings, postgres: EmbeddedServer, tmp_path: Path
) -> AsyncIterator[Gateway]:
    directory = LogDirectory(tmp_path / "log")
    async with acting(database, tmp_path / "keys") as world:
        await do_everything(world)
        provider = await open_provider(KeySettings(), tmp_path / "keys", database)
        signer = CheckpointSigner(KeyringCheckpointKey(provider.keyring))
        sequencer = Sequencer(database, directory, [], signer)
        await sequencer.start()
        await sequencer.stop()
        unsealer = CheckingUnsealer(world.keys, world.keystore)
        checked = Checked(database, unsealer, world.keystore, directory, [], (), signer)
        assert storage_settings.owner_dsn is not None
        name = storage_settings.owner_dsn.get_secret_value().split("/")[3].split("?")[0]
        superuser = await asyncpg.connect(postgres.dsn("postgres", name))
        # Whoever owns the server is bound neither by what is final nor by what refers to what.
        await superuser.execute("SET session_replication_role = replica")
        yield Gateway(checked, superuser)
        await superuser.close()


TAMPERINGS: list[tuple[str, str, str]] = [
    ("TABLE_ROW_DIFFERS", "tenant", "UPDATE tenant SET state = 'suspended' WHERE name = 'other'"),
    (
        "TABLE_ROW_DIFFERS",
        "tenant",
        """UPDATE tenant SET limits = limits || '{"streams": 64}' WHERE name = 'acme'""",
    ),
    ("TABLE_ROW_DIFFERS", "tenant", "UPDATE tenant SET name = 'mallory' WHERE name = 'acme'"),
    ("TABLE_ROW_MISSING", "tenant", "DELETE FROM tenant WHERE name = 'other'"),
    (
        "TABLE_ROW_UNTOLD",
        "tenant",
        "INSERT INTO tenant SELECT gen_random_uuid(), 'mallory', state, limits FROM tenant WHERE name = 'acme'",
    ),
    (
        "TABLE_ROW_DIFFERS",
        "contract",
        "UPDATE contract SET document = document || ' ' WHERE version = '1.1.0'",
    ),
    ("TABLE_ROW_DIFFERS", "contract", "UPDATE contract SET digest = sha256(digest) WHERE version = '1.1.0'"),
    (
        "TABLE_ROW_DIFFERS",
        "contract",
        "UPDATE contract SET precedence = precedence || 'x' WHERE version = '1.1.0'",
    ),
    ("TABLE_ROW_MISSING", "contract", "DELETE FROM contract WHERE version = '1.1.0'"),
    ("TABLE_ROW_UNTOLD", "contract", "UPDATE contract SET version = '9.0.0' WHERE version = '1.1.0'"),
    ("TABLE_ROW_DIFFERS", "ingest_stream", "UPDATE ingest_stream SET producer = 'mallory'"),
    ("TABLE_ROW_MISSING", "ingest_stream", "DELETE FROM ingest_stream"),
    ("TABLE_ROW_DIFFERS", "log_anchor", "UPDATE log_anchor SET seq = 1"),
    ("TABLE_ROW_MISSING", "log_anchor", "DELETE FROM log_anchor"),
    ("TABLE_ROW_DIFFERS", "flag_share", "UPDATE flag_share SET share = 100 WHERE flag = 'temporal'"),
    ("TABLE_ROW_DIFFERS", "flag_share", "UPDATE flag_share SET share = 1 WHERE flag = 'contracts'"),
    ("TABLE_ROW_DIFFERS", "flag_share", "UPDATE flag_share SET until = now() WHERE flag = 'temporal'"),
    ("TABLE_ROW_DIFFERS", "flag_setting", "UPDATE flag_setting SET weakened = true"),
    ("TABLE_ROW_DIFFERS", "flag_setting", "UPDATE flag_setting SET until = NULL"),
    ("TABLE_ROW_DIFFERS", "flag_setting", "UPDATE flag_setting SET approval_id = gen_random_uuid()"),
    ("TABLE_ROW_MISSING", "flag_setting", "DELETE FROM flag_setting WHERE weakened"),
    (
        "TABLE_ROW_UNTOLD",
        "flag_setting",
        (
            "INSERT INTO flag_setting SELECT tenant_id, 'cmk', true, NULL, now(), 'mallory', NULL FROM tenant"
            " WHERE name = 'acme'"
        ),
    ),
    (
        "TABLE_ROW_DIFFERS",
        "flag_setting",
        (
            "INSERT INTO flag_setting SELECT tenant_id, 'temporal', true, NULL, now(), 'mallory', NULL FROM tenant"
            " WHERE name = 'other'"
        ),
    ),
    ("TABLE_ROW_DIFFERS", "tenant_policy", "UPDATE tenant_policy SET modules = '[]' WHERE state = 'active'"),
    (
        "TABLE_ROW_DIFFERS",
        "tenant_policy",
        "UPDATE tenant_policy SET modules = '[]', revision = sha256('[]') WHERE state = 'active'",
    ),
    ("TABLE_ROW_DIFFERS", "tenant_policy", "UPDATE tenant_policy SET state = 'replaced'"),
    ("TABLE_ROW_MISSING", "tenant_policy", "DELETE FROM tenant_policy WHERE state = 'replaced'"),
    ("TABLE_ROW_DIFFERS", "approval", "UPDATE approval SET state = 'approved' WHERE state = 'requested'"),
    (
        "TABLE_ROW_DIFFERS",
        "approval",
        "UPDATE approval SET state = 'approved', settled_at = NULL, settled_by = NULL WHERE state = 'used'",
    ),
    (
        "TABLE_ROW_DIFFERS",
        "approval",
        "UPDATE approval SET quorum = 1 WHERE quorum = 2 AND state = 'requested'",
    ),
    ("TABLE_ROW_DIFFERS", "approval", "UPDATE approval SET expires_at = expires_at + interval '9 day'"),
    (
        "TABLE_ROW_UNTOLD",
        "approval",
        "UPDATE approval SET approval_id = gen_random_uuid(), owed = true WHERE state = 'requested'",
    ),
    ("TABLE_ROW_MISSING", "approval", "DELETE FROM approval WHERE state = 'denied'"),
    ("TABLE_ROW_UNTOLD", "approval_decision", "UPDATE approval_decision SET approver = 'mallory'"),
    ("TABLE_ROW_DIFFERS", "approval_decision", "UPDATE approval_decision SET machine = true"),
    ("TABLE_ROW_DIFFERS", "approver_key", "UPDATE approver_key SET approver = 'mallory'"),
    (
        "TABLE_ROW_DIFFERS",
        "approver_key",
        "UPDATE approver_key SET revoked_at = NULL, revoked_by = NULL, revoke_reason = NULL",
    ),
    (
        "TABLE_ROW_DIFFERS",
        "data_key",
        (
            "UPDATE data_key SET tenant_key_id = gen_random_uuid()"
            " WHERE tenant_id = (SELECT tenant_id FROM tenant WHERE name = 'acme')"
        ),
    ),
    (
        "TABLE_ROW_MISSING",
        "data_key",
        "DELETE FROM data_key WHERE tenant_id = (SELECT tenant_id FROM tenant WHERE name = 'acme')",
    ),
    (
        "TABLE_ROW_DIFFERS",
        "tenant_key",
        "UPDATE tenant_key SET kek_version = '9' WHERE tenant_id = (SELECT tenant_id FROM tenant WHERE name = 'acme')",
    ),
    (
        "TABLE_ROW_UNTOLD",
        "tenant_key",
        (
            "INSERT INTO tenant_key SELECT tenant_id, gen_random_uuid(), provider, kek_id, '9', wrapped, state FROM"
            " tenant_key WHERE tenant_id = (SELECT tenant_id FROM tenant WHERE name = 'acme')"
        ),
    ),
    ("TABLE_ROW_DIFFERS", "migration_checksum", "UPDATE migration_checksum SET sha256 = sha256('')"),
]


async def test_what_nobody_touched_is_clean(gateway: Gateway) -> None:
    assert await gateway.findings() == []


async def test_every_tampering_is_named_with_its_table(gateway: Gateway) -> None:
    assert await gateway.findings() == []
    missed = []
    for reason, table, tampering in TAMPERINGS:
        async with rolled_back(gateway, table):
            done = await gateway.superuser.execute(tampering)
            found = await gateway.findings()
        assert not done.endswith(" 0"), tampering
        if (reason, table) not in {(each.reason, each.table) for each in found}:
            missed.append((tampering, found))
        assert all(each.row for each in found if each.table), found
    assert missed == []
    assert await gateway.findings() == []


@asynccontextmanager
async def rolled_back(gateway: Gateway, table: str) -> AsyncIterator[None]:
    """The table as it was, once the block has ended: others have to see what is in it meanwhile."""
    await gateway.superuser.execute(f"CREATE TEMP TABLE kept AS SELECT * FROM {table}")  # noqa: S608 (of the list above)
    try:
        yield
    finally:
        async with gateway.superuser.transaction():
            await gateway.superuser.execute(f"DELETE FROM {table}")  # noqa: S608 (of the list above)
            await gateway.superuser.execute(f"INSERT INTO {table} SELECT * FROM kept")  # noqa: S608
        await gateway.superuser.execute("DROP TABLE kept")


async def test_what_waits_is_not_taken_for_tampering(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An act whose entry has no index yet has its rows already: then tables are not compared, and that is told."""
    monkeypatch.setattr(check, "RETRY_SECONDS", 0.001)
    await gateway.superuser.execute("INSERT INTO ledger_outbox (entries, packed) VALUES (1, '')")
    await gateway.superuser.execute("DELETE FROM flag_setting")
    assert [each.reason for each in await gateway.findings()] == ["OUTBOX_WAITING"]


async def test_a_damaged_key_row_does_not_hide_what_else_was_altered(gateway: Gateway) -> None:
    platform = "706c6174-666f-8d72-8000-000000000000"
    await gateway.superuser.execute(
        "UPDATE data_key SET wrapped = set_byte(wrapped, 9, get_byte(wrapped, 9) # 1) WHERE tenant_id <> $1",
        platform,
    )
    await gateway.superuser.execute("UPDATE ledger_entry SET payload = payload || 'x' WHERE index = 3")
    found = await gateway.findings()
    assert [(each.reason, each.index) for each in found][:1] == [("ENTRY_ALTERED", 3)]


@pytest.mark.parametrize("table", ["data_key", "tenant_key"])
async def test_without_the_platforms_keys_the_tree_is_still_checked(
    gateway: Gateway, table: str, database: Database, tmp_path: Path
) -> None:
    platform = "706c6174-666f-8d72-8000-000000000000"
    await gateway.superuser.execute(
        f"UPDATE {table} SET wrapped = set_byte(wrapped, 50, get_byte(wrapped, 50) # 1) WHERE tenant_id = $1",  # noqa: S608
        platform,
    )
    await gateway.superuser.execute(
        "UPDATE ledger_entry SET commitments = set_byte(commitments, 0, get_byte(commitments, 0) # 1) WHERE index = 3"
    )
    async with running(database, tmp_path / "keys") as fresh:  # that has no key in memory
        unsealer = CheckingUnsealer(fresh.keys, fresh.keystore)
        gateway.checked = replace(gateway.checked, unsealer=unsealer, keystore=fresh.keystore)
        found = await gateway.findings()
    assert ("KEY_ROW_CORRUPT", table) in {(each.reason, each.table) for each in found}
    assert "ROOT_DIFFERS" in {each.reason for each in found}
