"""A ledger that nobody touched is clean; of one that was touched, every byte is missed."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from intelgraph.keys.checking import CheckingUnsealer
from intelgraph.provenance import log_rows
from intelgraph.provenance.fsck.check import LedgerCheck
from intelgraph.provenance.fsck.parts import LedgerParts as Checked
from intelgraph.provenance.fsck.verdict import LedgerVerdict
from intelgraph.provenance.kinds.spine import TokenMinted
from intelgraph.provenance.ledger import Act
from intelgraph.provenance.log_directory import LogDirectory
from intelgraph.provenance.making_up import make_up
from intelgraph.provenance.sequencer import Sequencer
from intelgraph.storage.database import Database
from intelgraph.storage.embedded import EmbeddedServer
from intelgraph.storage.settings import StorageSettings
from intelgraph.tenants.registry import TenantRegistry
from tests.parts.ledger import TESTER, LedgerParts, ledger_parts
from tests.provenance.erasing import Eraser


@dataclass
class Log:
    """A small log that nobody appends to any more."""

    parts: LedgerParts
    directory: LogDirectory
    checked: Checked
    superuser: "asyncpg.Connection[asyncpg.Record]"

    async def verdict(self) -> LedgerVerdict:
        return await LedgerCheck(self.checked).run()


@pytest_asyncio.fixture
async def log(
    database: Database, storage_settings: StorageSettings, postgres: EmbeddedServer, tmp_path: Path
) -> AsyncIterator[Log]:
    directory, copy = LogDirectory(tmp_path / "log"), LogDirectory(tmp_path / "copy")
    async with ledger_parts(database, tmp_path / "keys", keys_entered=True) as parts:
        registry = TenantRegistry(database, parts.ledger)
        tenant = await registry.create("acme", by=TESTER)
        await make_up(parts.ledger, database)
        sequencer = Sequencer(database, directory, [copy], parts.signer)
        for batch in (3, 2):
            acts = [
                Act(TokenMinted(f"{n}", "olga", ("auditor",), 1), f"token:{n}", TESTER, tenant)
                for n in range(batch)
            ]
            async with database.write() as connection:
                await parts.ledger.append_all(connection, acts)
        await sequencer.start()
        await sequencer.stop()
        eraser = Eraser(database, parts, await registry.create("local", by=TESTER))
        async with database.write() as connection:
            last = (await log_rows.head(connection)).size - 1
        await eraser.erase(last, await eraser.approval(last))
        sequencer = Sequencer(database, directory, [copy], parts.signer)
        await sequencer.start()
        await sequencer.stop()
        checked = Checked(
            database,
            CheckingUnsealer(parts.keys, parts.keystore),
            parts.keystore,
            directory,
            [copy],
            (),
            parts.signer,
        )
        assert storage_settings.owner_dsn is not None
        name = storage_settings.owner_dsn.get_secret_value().split("/")[3].split("?")[0]
        superuser = await asyncpg.connect(postgres.dsn("postgres", name))
        # What no role of the gateway can do, whoever owns the server can: to change what is final.
        await superuser.execute("ALTER TABLE ledger_entry DISABLE TRIGGER ALL")
        yield Log(parts, directory, checked, superuser)
        await superuser.close()


async def test_a_log_that_nobody_touched_is_clean(log: Log) -> None:
    verdict = await log.verdict()
    assert verdict.findings == []
    assert verdict.size >= 11
    assert verdict.checkpoints >= 4
    assert verdict.files >= 5


COVERED = {
    "ledger_entry": (
        "index",
        "entry_id",
        "tenant_id",
        "kind",
        "subject_tag",
        "commitments",
        "header",
        "payload",
    ),
    "ledger_checkpoint": ("origin", "size", "root", "note"),
    "ledger_log": ("origin", "size", "root"),
}
"""What proofs rest on. Beside them there is when an entry was sequenced and a checkpoint stored, which nobody signs: it
helps to find entries, and `docs/ledger.md` says that it proves nothing.
"""


def test_every_column_is_covered_or_named() -> None:
    named = {"ledger_entry": {"sequenced", "erased_by"}, "ledger_checkpoint": {"signed_at"}}
    named["ledger_log"] = {"singleton", "sequenced", "fork_index"}
    assert named.keys() == COVERED.keys()


@pytest.mark.parametrize(
    ("table", "column"), [(table, column) for table in COVERED for column in COVERED[table]]
)
async def test_every_altered_value_is_found(log: Log, table: str, column: str) -> None:
    """One byte of one value of each row in turn, first and last."""
    rows = await log.superuser.fetch(f"SELECT ctid::text, * FROM {table} ORDER BY ctid")  # noqa: S608 (own tables)
    (kind,) = await log.superuser.fetch(
        "SELECT format_type(atttypid, -1) AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attname = $2",
        table,
        column,
    )
    places = [str(row["ctid"]) for row in rows]
    set_to = f"UPDATE {table} SET {column} = $1 WHERE ctid = $2::text::tid RETURNING ctid::text"  # noqa: S608
    tried = 0
    for number, row in enumerate(rows):
        for change in CHANGES[kind["name"]] if row[column] is not None else ():
            tried += 1
            places[number] = await log.superuser.fetchval(set_to, change(row[column]), places[number])
            assert (await log.verdict()).findings, (table, column, number)
            places[number] = await log.superuser.fetchval(set_to, row[column], places[number])
    assert tried
    assert (await log.verdict()).findings == []


def _flip(at: int) -> Callable[[bytes], bytes]:
    def flipped(value: bytes) -> bytes:
        changed = bytearray(value)
        changed[at] ^= 1
        return bytes(changed)

    return flipped


CHANGES: dict[str, list[Callable[..., object]]] = {
    "bytea": [_flip(0), _flip(-1), _flip(17)],
    "bigint": [lambda value: value + 1000],
    "smallint": [lambda value: value + 1],
    "uuid": [lambda value: UUID(int=value.int ^ 1)],
    "text": [lambda value: value[:-1] + chr(ord(value[-1]) ^ 1)],
}


@pytest.mark.parametrize("table", ["ledger_entry", "ledger_checkpoint"])
async def test_every_row_that_was_taken_away_is_found(log: Log, table: str) -> None:
    order = "index" if table == "ledger_entry" else "size"
    keys = [row[order] for row in await log.superuser.fetch(f"SELECT {order} FROM {table} ORDER BY 1")]  # noqa: S608
    if table == "ledger_checkpoint":
        keys = keys[-1:]  # the others are not needed for anything: it is the last that vouches for all
    for key in keys:
        transaction = log.superuser.transaction()
        await transaction.start()
        await log.superuser.execute(f"CREATE TEMP TABLE kept AS SELECT * FROM {table} WHERE {order} = {key}")  # noqa: S608
        await log.superuser.execute(f"DELETE FROM {table} WHERE {order} = {key}")  # noqa: S608
        await transaction.commit()
        verdict = await log.verdict()
        assert verdict.findings, key
        if table == "ledger_entry":
            assert key in {finding.index for finding in verdict.findings}
        await log.superuser.execute(f"INSERT INTO {table} SELECT * FROM kept")  # noqa: S608
        await log.superuser.execute("DROP TABLE kept")
    assert (await log.verdict()).findings == []


async def test_every_byte_of_every_file_is_missed(log: Log) -> None:
    files = sorted(path for path in log.directory.root.rglob("*") if path.is_file())
    assert len(files) >= 5
    for path in files:
        content = path.read_bytes()
        step = 1 if len(content) < 100 else 37
        for at in range(0, len(content), step):
            path.write_bytes(_flip(at)(content) or b"")
            verdict = await log.verdict()
            name = path.relative_to(log.directory.root).as_posix()
            assert any(
                name in (finding.file or finding.message) or finding.file is None
                for finding in verdict.findings
            ), (name, at)
        for other in (content[:-1], content + b"\0", b""):
            path.write_bytes(other)
            assert (await log.verdict()).findings, (path, len(other))
        path.write_bytes(content)
    stray = log.directory.root / "tile" / "0" / "001"
    stray.write_bytes(b"x")
    assert [finding.reason for finding in (await log.verdict()).findings] == ["FILE_UNEXPECTED"]
    stray.unlink()
    assert (await log.verdict()).findings == []


async def test_what_follows_from_one_altered_entry_is_told_in_one_line_each(
    log: Log, database: Database
) -> None:
    for number in range(12):  # a checkpoint and a wider tile each
        async with database.write() as connection:
            token = TokenMinted(f"more {number}", "olga", ("auditor",), 1)
            await log.parts.ledger.append_all(connection, [Act(token, "token:more", TESTER, None)])
        sequencer = Sequencer(database, log.directory, log.checked.copies, log.parts.signer)
        await sequencer.start()
        await sequencer.stop()
    assert (await log.verdict()).findings == []
    index = await log.superuser.fetchval(
        "UPDATE ledger_entry SET commitments = set_byte(commitments, 0, get_byte(commitments, 0) # 1)"
        " WHERE index = (SELECT min(index) FROM ledger_entry WHERE kind = $1) RETURNING index",
        TokenMinted.NUMBER,
    )
    found = (await log.verdict()).findings
    reasons = [each.reason for each in found]
    assert sorted(reasons) == [
        "CHECKPOINT_DIFFERS",
        "ENTRY_ALTERED",
        "FILE_DIFFERS",
        "FILE_DIFFERS",
        "ROOT_DIFFERS",
    ]
    (altered,) = [each for each in found if each.reason == "ENTRY_ALTERED"]
    assert altered.index == index
    assert all(
        each.following >= 12 for each in found if each.reason in {"CHECKPOINT_DIFFERS", "FILE_DIFFERS"}
    )
    (tile,) = [each for each in found if each.file is not None and each.file.startswith("tile/0/")]
    assert tile.index == index


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_time_that_was_shifted_is_named_and_not_its_neighbour(log: Log, hours: int) -> None:
    shift = "UPDATE ledger_entry SET sequenced = sequenced + $1 * interval '1 hour' WHERE index = 4"
    await log.superuser.execute(shift, hours)
    (finding,) = (await log.verdict()).findings
    assert (finding.reason, finding.index) == ("SEQUENCED_EARLIER", 4)
