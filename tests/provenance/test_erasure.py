"""Nobody erases an entry alone, and nothing that other things are held against."""

import pytest

from intelgraph.errors import FailedPrecondition, InvalidArgument
from intelgraph.provenance.kinds import KINDS
from intelgraph.provenance.kinds.ledger import EntryErased
from intelgraph.provenance.kinds.spine import TokenMinted
from intelgraph.provenance.ledger import Act
from intelgraph.storage.database import Database
from intelgraph.tenants.registry import TenantRegistry
from tests.parts.ledger import TESTER
from tests.provenance.erasing import Eraser
from tests.provenance.log_world import LogWorld

ERASABLE = {
    "quarantine.opened",
    "token.minted",
    "operation.started",
    "operation.finished",
    "operation.cancelled",
}
"""What names persons, and nothing else is held against."""


async def with_token(log_world: LogWorld) -> tuple[Eraser, int]:
    """A log whose last entry is that of a token, and who may erase it."""
    platform = await TenantRegistry(log_world.database, log_world.parts.ledger).create("local", by=TESTER)
    token = Act(TokenMinted("t", "olga", ("auditor",), 1), "token:t", TESTER, platform)
    async with log_world.database.write() as connection:
        await log_world.parts.ledger.append_all(connection, [token])
    async with log_world.sequencing():
        pass
    index = (await log_world.head()).size - 1
    return Eraser(log_world.database, log_world.parts, platform), index


async def erased_by(database: Database, index: int) -> object:
    async with database.write() as connection:
        return await connection.fetchval("SELECT erased_by FROM ledger_entry WHERE index = $1", index)


def test_what_says_what_was_done_stays() -> None:
    assert {kind.KIND for kind in KINDS.values() if kind.ERASABLE} == ERASABLE


async def test_it_takes_an_approval_of_exactly_this(log_world: LogWorld) -> None:
    eraser, index = await with_token(log_world)
    with pytest.raises(FailedPrecondition, match="APPROVAL_MISSING"):
        await eraser.erase(index, None)
    approval_id = await eraser.approval(index)
    with pytest.raises(FailedPrecondition, match="APPROVAL_OF_ANOTHER_PLAN"):
        await eraser.erase(index, approval_id, "for another reason")
    assert await erased_by(log_world.database, index) is None
    await eraser.erase(index, approval_id)
    assert await erased_by(log_world.database, index) is not None
    with pytest.raises(FailedPrecondition, match="LEDGER_ENTRY_ERASED"):
        await eraser.erase(index, approval_id)


async def test_who_erased_an_entry_is_never_erased(log_world: LogWorld) -> None:
    eraser, index = await with_token(log_world)
    await eraser.erase(index, await eraser.approval(index))
    async with log_world.sequencing():
        pass
    rows = await log_world.entries()
    assert rows[-1]["kind"] == EntryErased.NUMBER
    for row in rows[index + 1 :]:  # the approval's entries, and that of the erasure
        with pytest.raises(FailedPrecondition, match="LEDGER_ENTRY_STAYS"):
            await eraser.erase(row["index"], None)


async def test_the_header_says_of_which_kind_it_is_and_not_the_column(log_world: LogWorld) -> None:
    eraser, index = await with_token(log_world)
    await log_world.superuser("ALTER TABLE ledger_entry DISABLE TRIGGER ALL")
    await log_world.superuser(
        "UPDATE ledger_entry SET kind = $1 WHERE index = $2", TokenMinted.NUMBER, index - 1
    )
    with pytest.raises(FailedPrecondition, match="LEDGER_ENTRY_STAYS"):
        await eraser.erase(index - 1, None)


@pytest.mark.parametrize("reason", ["", " ", "two\nlines", "x" * 1001])
async def test_a_reason_is_one_line(log_world: LogWorld, reason: str) -> None:
    eraser, index = await with_token(log_world)
    with pytest.raises(InvalidArgument, match="LEDGER_REASON_MISSING"):
        await eraser.erase(index, None, reason)
