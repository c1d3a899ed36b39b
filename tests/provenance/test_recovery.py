"""A ledger goes on after a restore: with what the tiles have, or, on two people's word, without it."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from intelgraph._core import open_ledger_entry
from intelgraph.approvals.approval import ApprovalState, Caller
from intelgraph.approvals.approvals import Approvals
from intelgraph.approvals.request import Wanted
from intelgraph.errors import DataLoss, FailedPrecondition, IntelGraphError
from intelgraph.keys.platform import PLATFORM
from intelgraph.provenance.actor import Actor
from intelgraph.provenance.kinds.approvals import ApprovalVoided
from intelgraph.provenance.kinds.ledger import ForkAcknowledged, LedgerRecovered
from intelgraph.provenance.kinds.spine import ContractPublished, DataKeyCreated
from intelgraph.provenance.making_up import make_up
from intelgraph.storage.connection import Connection
from intelgraph.tenants.registry import TenantRegistry
from tests.parts.ledger import ledger_parts
from tests.parts.outbox import pack
from tests.provenance.log_world import LogWorld

OPERATOR = Actor("root", "cli")
PLAN = b'{"summary": "rotate the root key", "steps": ["sign with it"]}'


class Given:
    """Approvals, as far as this goes: remembers what was consumed, or refuses."""

    def __init__(self, refusal: IntelGraphError | None = None) -> None:
        self.consumed: list[tuple[UUID | None, str, Mapping[str, object]]] = []
        self.voided = 0
        self.refusal = refusal

    async def consume(
        self,
        connection: Connection,
        *,
        approval_id: UUID | None,
        kind: str,
        tenant: None,
        document: Mapping[str, object],
        by: Actor,
    ) -> None:
        assert connection.is_in_transaction()
        assert (tenant, by) == (None, OPERATOR)
        self.consumed.append((approval_id, kind, document))
        if self.refusal is not None:
            raise self.refusal

    async def void_open(self, connection: Connection, by: Actor) -> int:
        assert connection.is_in_transaction()
        assert by == OPERATOR
        self.voided += 1
        return 0


async def last_entry(log_world: LogWorld) -> tuple[int, bytes]:
    """Kind and payload of the log's last entry."""
    row = (await log_world.entries())[-1]
    opened = open_ledger_entry(
        log_world.parts.keystore,
        PLATFORM.tenant_id.bytes,
        row["entry_id"].bytes,
        row["commitments"],
        row["header"],
        row["payload"],
    )
    return row["kind"], opened[2]


@pytest.mark.parametrize(("size", "behind", "in_outbox"), [(30, 30, 0), (700, 250, 40), (700, 256, 0)])
async def test_what_the_database_lacks_is_replayed_from_the_tiles(
    log_world: LogWorld, size: int, behind: int, in_outbox: int
) -> None:
    signed = await log_world.sequenced(size)
    before = await log_world.entries()
    await log_world.take_back(size - behind, in_outbox=in_outbox)
    await log_world.superuser("UPDATE ledger_log SET sequenced = clock_timestamp() + interval '1 day'")

    progress: list[tuple[int, int]] = []
    planned = await log_world.recovery().recover(
        OPERATOR, approvals=Given(), dry_run=True, progress=lambda done, total: progress.append((done, total))
    )
    assert (planned.first_index, planned.size, planned.root) == (size - behind, size, signed.root)
    assert progress[-1] == (behind, behind)
    assert len(await log_world.entries()) == size - behind, "a dry run changes nothing"

    recovered = await log_world.recovery().recover(OPERATOR, approvals=Given())
    assert (recovered.size, recovered.sealed_found) == (size, in_outbox)
    after = await log_world.entries()
    assert [row["commitments"] for row in after] == [row["commitments"] for row in before]
    for row in after[size - behind : size - behind + in_outbox]:
        assert row["header"] == before[row["index"]]["header"]
    for row in after[size - behind + in_outbox :]:
        assert (row["entry_id"], row["kind"], row["header"], row["payload"]) == (None,) * 4
    times = [row["sequenced"] for row in after]
    assert times == sorted(times)

    async with log_world.sequencing():
        await log_world.append(3)
        await log_world.until(size + 4)
    await log_world.verify(size + 4)
    kind = (await log_world.entries())[size]["kind"]
    assert kind == LedgerRecovered.NUMBER


async def test_a_log_that_is_in_order_is_left_as_it_is(log_world: LogWorld) -> None:
    await log_world.sequenced(30)
    for act in (log_world.recovery().recover(OPERATOR, approvals=Given()), log_world.recovery().standing()):
        with pytest.raises(FailedPrecondition) as refused:
            await act
        assert refused.value.reason == "LEDGER_NOT_FORKED"
    async with log_world.sequencing():
        with pytest.raises(FailedPrecondition) as refused:
            await log_world.recovery().recover(OPERATOR, approvals=Given())
        assert refused.value.reason == "LEDGER_NOT_FORKED"


async def test_recovery_works_beside_a_gateway_that_refuses(log_world: LogWorld) -> None:
    await log_world.sequenced(300)
    await log_world.take_back(200)
    async with log_world.sequencing():
        await log_world.recovery().recover(OPERATOR, approvals=Given())
        await log_world.append(1)
        await log_world.until(302)
    await log_world.verify(302)


async def test_an_act_that_was_signed_in_part_is_not_this_logs(log_world: LogWorld) -> None:
    await log_world.sequenced(30)
    rows = await log_world.entries()
    await log_world.take_back(20)
    both = pack(dict(rows[25])) + pack({**dict(rows[26]), "commitments": bytes(64)})
    await log_world.superuser("INSERT INTO ledger_outbox (entries, packed) VALUES (2, $1)", both)
    with pytest.raises(FailedPrecondition, match="LEDGER_DIVERGED"):
        await log_world.recovery().recover(OPERATOR, approvals=Given())
    assert (len(await log_world.entries()), await log_world.outbox()) == (20, 2)


async def test_what_is_done_about_a_fork_is_entered_and_nothing_else(log_world: LogWorld) -> None:
    await log_world.sequenced(30)
    await log_world.take_back(20)
    facts, ledger = ContractPublished("d", "1.0.0", "ab" * 32), log_world.parts.ledger
    async with log_world.sequencing():
        async with log_world.database.write() as connection:
            await ledger.append(connection, facts, subject="a", by=OPERATOR, tenant=None, while_forked=True)
        async with log_world.database.write() as connection:
            await ledger.append(connection, facts, subject="a", by=OPERATOR, tenant=None, while_forked=True)
            # The word holds for that entry, and not for the transaction.
            with pytest.raises(asyncpg.PostgresError, match="forked"):
                async with connection.transaction():
                    await ledger.append(connection, facts, subject="b", by=OPERATOR, tenant=None)
        assert await log_world.outbox() == 2
        await log_world.recovery().recover(OPERATOR, approvals=Given())
        await log_world.until(33)
    await log_world.verify(33)


async def test_a_process_without_a_key_yet_recovers(log_world: LogWorld, tmp_path: Path) -> None:
    await log_world.sequenced(30)
    await log_world.take_back(20)
    async with (
        log_world.sequencing(),
        ledger_parts(log_world.database, tmp_path / "keys", keys_entered=True) as fresh,
    ):
        log_world.parts = fresh
        await log_world.recovery().recover(OPERATOR, approvals=Given())
        await log_world.until(31)
        # Its own key waited for that.
        await make_up(fresh.ledger, log_world.database)
    kinds = [row["kind"] for row in await log_world.entries()]
    assert (kinds[30], DataKeyCreated.NUMBER in kinds[31:]) == (LedgerRecovered.NUMBER, True)


async def test_approvals_that_a_restore_brought_back_hold_no_more(log_world: LogWorld) -> None:
    """One was used after the backup: it is approved again, and would be used a second time."""
    registry = TenantRegistry(log_world.database, log_world.parts.ledger)
    platform, acme = [await registry.create(name, by=OPERATOR) for name in ("local", "acme")]
    approvals = Approvals(log_world.database, log_world.parts.ledger, platform)
    wanted = Wanted("manual.act", PLAN, "the root key is old", role="security-officer")
    officers = frozenset({"security-officer"})
    asker, other = (Caller(Actor(name, "jwt"), officers) for name in ("alice", "bob"))
    waiting = await approvals.request(platform, wanted, asker)
    given = await approvals.request(acme, wanted, asker)
    given = await approvals.approve(acme, given.approval_id, other, digest=given.digest)
    await log_world.sequenced(5)
    size = (await log_world.head()).size
    await log_world.sequenced(20)
    await log_world.take_back(size)

    await log_world.recovery().recover(OPERATOR, approvals=approvals)
    assert (await approvals.get(acme, given.approval_id)).state is ApprovalState.WITHDRAWN
    assert (await approvals.get(platform, waiting.approval_id)).settled_by == "root"
    async with log_world.sequencing():
        pass
    kinds = [row["kind"] for row in await log_world.entries()]
    assert kinds[-3:] == [LedgerRecovered.NUMBER, ApprovalVoided.NUMBER, ApprovalVoided.NUMBER]


async def test_lost_tiles_are_not_made_up(log_world: LogWorld) -> None:
    await log_world.sequenced(600)
    await log_world.take_back(500)
    shutil.rmtree(log_world.directory.root / "tile")
    with pytest.raises(FailedPrecondition) as refused:
        await log_world.recovery().recover(OPERATOR, approvals=Given())
    assert refused.value.reason == "LEDGER_TILES_LOST"
    assert "entries 500 to 599" in refused.value.message


async def test_altered_tiles_are_not_believed(log_world: LogWorld) -> None:
    await log_world.sequenced(600)
    await log_world.take_back(500)
    bundle = log_world.directory.root / "tile/entries/002.p/88"
    content = bytearray(bundle.read_bytes())
    content[-10] = ord("0") if content[-10] != ord("0") else ord("1")
    bundle.write_bytes(bytes(content))
    with pytest.raises(DataLoss) as refused:
        await log_world.recovery().recover(OPERATOR, approvals=Given())
    assert refused.value.reason == "LEDGER_TILES_ALTERED"
    assert len(await log_world.entries()) == 500


async def diverged(log_world: LogWorld) -> int:
    """A database that went on with other entries from 20 on, and the size of the log that was signed."""
    await log_world.sequenced(20)
    await log_world.sequenced(10)
    saved = log_world.directory.root.with_name("saved")
    log_world.directory.root.rename(saved)
    note = log_world.copy.checkpoint()
    (log_world.copy.root / "checkpoint").unlink()
    await log_world.take_back(20)
    await log_world.sequenced(15, dataset="others")
    shutil.rmtree(log_world.directory.root)
    saved.rename(log_world.directory.root)
    log_world.copy.publish(note or b"")
    return 30


async def test_a_log_that_went_on_by_itself_is_not_mixed_with_the_signed_one(log_world: LogWorld) -> None:
    await diverged(log_world)
    with pytest.raises(FailedPrecondition) as refused:
        await log_world.recovery().recover(OPERATOR, approvals=Given())
    assert (refused.value.reason, refused.value.metadata) == ("LEDGER_DIVERGED", {"index": "20"})


async def test_two_people_acknowledge_a_fork(log_world: LogWorld) -> None:
    signed_size = await diverged(log_world)
    former, head = await log_world.published(), await log_world.head()
    assert former.size == signed_size
    approvals, approval_id = Given(), uuid4()
    acknowledged = await log_world.recovery().acknowledge(
        OPERATOR, approval_id=approval_id, reason="the disk burnt", approvals=approvals
    )
    document = {
        "origin": former.origin,
        "index": 20,
        "signed_size": 30,
        "signed_root": former.root.hex(),
        "database_size": 35,
        "database_root": head.root.hex(),
    }
    assert approvals.consumed == [(approval_id, "ledger.acknowledge_fork", document)]
    assert approvals.voided == 1
    assert acknowledged.origin == f"{former.origin}/2"

    for directory, place in zip((log_world.directory, log_world.copy), acknowledged.set_aside, strict=True):
        assert place == str(directory.root / "forks" / f"{former.origin.replace('/', '_')}@30")
        assert (directory.root / place / "checkpoint").read_bytes() == former.note
    aside = directory_files(log_world, acknowledged.set_aside[0])
    assert any(path.startswith("tile/entries/") for path in aside)

    async with log_world.sequencing():
        await log_world.append(2)
        await log_world.until(38)
    await log_world.verify(38)
    assert (await log_world.published()).origin == acknowledged.origin
    kind = (await log_world.entries())[35]["kind"]
    assert kind == ForkAcknowledged.NUMBER
    assert directory_files(log_world, acknowledged.set_aside[0]) == aside


def directory_files(log_world: LogWorld, place: str) -> set[str]:
    root = log_world.directory.root / place
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


async def test_without_an_approval_nothing_is_given_up(log_world: LogWorld) -> None:
    await diverged(log_world)
    head, note = await log_world.head(), log_world.directory.checkpoint()
    missing = FailedPrecondition("APPROVAL_NOT_APPROVED", "it is not approved")
    with pytest.raises(FailedPrecondition):
        await log_world.recovery().acknowledge(
            OPERATOR, approval_id=uuid4(), reason="none", approvals=Given(missing)
        )
    assert (await log_world.head(), log_world.directory.checkpoint()) == (head, note)
    assert not (log_world.directory.root / "forks").exists()


async def test_a_database_from_before_the_acknowledgement_is_refused_and_recovered(
    log_world: LogWorld,
) -> None:
    await diverged(log_world)
    first = (await log_world.head()).origin
    acknowledged = await log_world.recovery().acknowledge(
        OPERATOR, approval_id=uuid4(), reason="the disk burnt", approvals=Given()
    )
    await log_world.sequenced(4)
    assert (await log_world.head()).size == 40
    # The backup is of the log under its first name.
    await log_world.take_back(35)
    await log_world.superuser("UPDATE ledger_log SET origin = $1", first)
    async with log_world.sequencing():
        assert (await log_world.head()).fork_index == 35
    recovered = await log_world.recovery().recover(OPERATOR, approvals=Given())
    assert (recovered.origin, recovered.first_index, recovered.size) == (acknowledged.origin, 35, 40)
    async with log_world.sequencing():
        await log_world.until(41)
    await log_world.verify(41)


async def test_a_sequencer_finishes_an_acknowledgement_that_was_killed(log_world: LogWorld) -> None:
    await diverged(log_world)
    former = await log_world.published()
    # Committed, and ended before anything was moved.
    await log_world.superuser("UPDATE ledger_log SET origin = $1", f"{former.origin}/2")
    async with log_world.sequencing():
        await log_world.until(35)
    name = f"{former.origin.replace('/', '_')}@30"
    for directory in (log_world.directory, log_world.copy):
        assert (directory.root / "forks" / name / "checkpoint").read_bytes() == former.note
    assert "tile/entries/000.p/30" in directory_files(log_world, f"forks/{name}")
    await log_world.verify(35)


async def test_a_database_whose_rows_are_not_its_own_is_no_fork_to_acknowledge(log_world: LogWorld) -> None:
    await log_world.sequenced(30)
    await log_world.superuser("DELETE FROM ledger_entry WHERE index = 12")
    shutil.rmtree(log_world.directory.root)
    with pytest.raises(DataLoss) as refused:
        await log_world.recovery().acknowledge(
            OPERATOR, approval_id=uuid4(), reason="none", approvals=Given()
        )
    assert refused.value.reason == "LEDGER_ENTRIES_DAMAGED"
    assert refused.value.message.endswith(" 12")
