"""A backup is of every row, whoever may read them, and is restored into nothing, by whoever may write them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from intelgraph.backup.bundle import Bundle, write_bundle
from intelgraph.backup.restoring import Restorer
from intelgraph.backup.taking import BackupTaker, Taken
from intelgraph.backup.verification import verified
from intelgraph.errors import DataLoss, FailedPrecondition, Unavailable
from intelgraph.keys.settings import LocalKeyringSettings
from intelgraph.provenance.kinds.ledger import BackupTaken
from intelgraph.provenance.settings import LedgerSettings
from intelgraph.storage.account import gateway_account
from intelgraph.storage.cluster import SUPERUSER
from intelgraph.storage.dumping import Administrator
from intelgraph.storage.embedded import EmbeddedServer
from intelgraph.storage.settings import StorageSettings
from tests.parts.ledger import TESTER
from tests.parts.outbox import waiting
from tests.parts.postgres import fresh_database, superuser
from tests.provenance.log_world import LogWorld


async def take(
    log_world: LogWorld, target: Path, *, dsn: str | None = None, keyring: LocalKeyringSettings | None = None
) -> Taken:
    taker = BackupTaker(
        Administrator(dsn or log_world.superuser_dsn),
        log_world.database,
        log_world.directory,
        log_world.parts.signer,
        log_world.parts.ledger,
        (keyring or LocalKeyringSettings(), log_world.directory.root.parent / "keys"),
        "ab" * 32,
    )
    return await taker.take(target, with_key_file=True, by=TESTER, progress=lambda *_: None)


@asynccontextmanager
async def target_database(
    postgres: EmbeddedServer, template: str = "template1"
) -> AsyncIterator[StorageSettings]:
    """An empty database, and a superuser who fills it."""
    async with fresh_database(postgres, template=template) as settings:
        assert settings.owner_dsn is not None
        name = settings.owner_dsn.get_secret_value().split("/")[3].split("?")[0]
        yield settings.model_copy(update={"backup_dsn": SecretStr(postgres.dsn(SUPERUSER, name))})


def left(directory: Path) -> list[str]:
    """Backups, and what was written on the way to them."""
    return [path.name for pattern in ("*.tar", ".*") for path in directory.glob(pattern)]


def restorer(data_dir: Path, storage: StorageSettings, ledger: LedgerSettings | None = None) -> Restorer:
    return Restorer(data_dir, storage, LocalKeyringSettings(), ledger or LedgerSettings())


async def test_another_database_is_filled_with_every_row(
    log_world: LogWorld, postgres: EmbeddedServer, tmp_path: Path
) -> None:
    await log_world.sequenced(300)
    await log_world.append(5)  # waits in the outbox, and in the backup
    taken = await take(log_world, tmp_path / "b.tar")
    assert (taken.unentered, taken.manifest.log_size, taken.manifest.checkpoint_size) == (None, 300, 300)
    async with target_database(postgres) as storage:
        restored = await restorer(tmp_path / "data", storage).restore(
            Bundle.open(tmp_path / "b.tar"), lambda *_: None
        )
        assert (restored.kept, restored.has_unlock) == ((), True)
        assert storage.backup_dsn is not None
        there = replace(log_world, superuser_dsn=storage.backup_dsn.get_secret_value())
        assert [tuple(row) for row in await there.entries()] == [
            tuple(row) for row in await log_world.entries()
        ]
        (count,) = await there.superuser("SELECT sum(entries) FROM ledger_outbox")
        assert count[0] == 5
        owners = await there.superuser(
            "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname ~ '^ledger'"
        )
        assert [row[0] for row in owners] == ["intelgraph_owner"]
        # A second time there is something there.
        with pytest.raises(FailedPrecondition) as refused:
            await restorer(tmp_path / "other", storage).restore(
                Bundle.open(tmp_path / "b.tar"), lambda *_: None
            )
        assert refused.value.reason == "RESTORE_DATABASE_NOT_EMPTY"
        assert not (tmp_path / "other").exists()
    files = {
        p.relative_to(tmp_path / "data/ledger") for p in (tmp_path / "data/ledger").rglob("*") if p.is_file()
    }
    assert {str(path) for path in files} >= {"checkpoint", "tile/entries/000", "tile/entries/001.p/44"}
    async with log_world.database.write() as connection:
        *_, last = await waiting(connection)
    assert last.kind == BackupTaken.NUMBER


async def test_who_may_not_read_every_row_takes_no_backup(
    log_world: LogWorld, postgres: EmbeddedServer, tmp_path: Path
) -> None:
    await log_world.sequenced(3)
    name = log_world.superuser_dsn.split("/")[3].split("?")[0]
    with pytest.raises(Unavailable) as refused:
        await take(log_world, tmp_path / "b.tar", dsn=postgres.dsn("intelgraph_owner", name))
    assert refused.value.reason == "DUMP_FAILED"
    assert "row-level security" in refused.value.message
    assert left(tmp_path) == []


async def test_a_role_made_for_it_is_enough(
    log_world: LogWorld, postgres: EmbeddedServer, tmp_path: Path
) -> None:
    await log_world.sequenced(3)
    await superuser(
        postgres,
        "DROP ROLE IF EXISTS intelgraph_backup",
        "CREATE ROLE intelgraph_backup LOGIN BYPASSRLS IN ROLE pg_read_all_data",
    )
    ident = postgres.cluster / "pg_ident.conf"
    ident.write_text(ident.read_text() + f'gateway "{gateway_account().name}" intelgraph_backup\n')
    await superuser(postgres, "SELECT pg_reload_conf()")
    name = log_world.superuser_dsn.split("/")[3].split("?")[0]
    taken = await take(log_world, tmp_path / "b.tar", dsn=postgres.dsn("intelgraph_backup", name))
    assert verified(taken.path, lambda *_: None)[1].faults == []


async def test_what_survived_elsewhere_is_kept(
    log_world: LogWorld, postgres: EmbeddedServer, tmp_path: Path
) -> None:
    await log_world.sequenced(10)
    await take(log_world, tmp_path / "b.tar")
    await log_world.sequenced(10)
    note = log_world.directory.checkpoint()
    ledger = LedgerSettings(directory=log_world.directory.root)
    async with target_database(postgres) as storage:
        restored = await restorer(tmp_path / "data", storage, ledger).restore(
            Bundle.open(tmp_path / "b.tar"), lambda *_: None
        )
    assert restored.kept == (log_world.directory.root,)
    assert log_world.directory.checkpoint() == note


async def test_a_restore_that_was_killed_is_run_again(
    log_world: LogWorld, postgres: EmbeddedServer, tmp_path: Path
) -> None:
    await log_world.sequenced(10)
    await take(log_world, tmp_path / "b.tar")
    left = tmp_path / ".data.restoring/keys"
    left.mkdir(parents=True)
    (left / "keyring.sealed").write_bytes(b"half")
    async with target_database(postgres) as storage:
        await restorer(tmp_path / "data", storage).restore(Bundle.open(tmp_path / "b.tar"), lambda *_: None)
    assert not (tmp_path / ".data.restoring").exists()
    assert (tmp_path / "data/keys/keyring.sealed").read_bytes() == (
        tmp_path / "keys/keyring.sealed"
    ).read_bytes()


async def test_a_newer_gateways_backup_is_refused(log_world: LogWorld, tmp_path: Path) -> None:
    await log_world.sequenced(3)
    taken = await take(log_world, tmp_path / "b.tar")
    newer = replace(taken.manifest, migrations=[*taken.manifest.migrations, "9999_unheard_of"], files=[])
    write_bundle(tmp_path / "newer.tar", newer, [], lambda *_: None)
    with pytest.raises(FailedPrecondition) as refused:
        await restorer(tmp_path / "data", StorageSettings()).restore(
            Bundle.open(tmp_path / "newer.tar"), lambda *_: None
        )
    assert refused.value.reason == "RESTORE_NEWER_GATEWAY"
    assert not (tmp_path / "data").exists()


async def test_a_passphrase_is_never_in_a_backup(log_world: LogWorld, tmp_path: Path) -> None:
    keyring = LocalKeyringSettings(passphrase=SecretStr("correct horse"))
    with pytest.raises(FailedPrecondition) as refused:
        await take(log_world, tmp_path / "b.tar", keyring=keyring)
    assert refused.value.reason == "BACKUP_KEY_FILE_MISSING"


async def test_a_log_that_has_lost_a_tile_is_not_backed_up_in_silence(
    log_world: LogWorld, tmp_path: Path
) -> None:
    await log_world.sequenced(300)
    (log_world.directory.root / "tile/entries/000").unlink()
    with pytest.raises(DataLoss) as refused:
        await take(log_world, tmp_path / "b.tar")
    assert refused.value.reason == "BACKUP_LOG_DAMAGED"
    assert not (tmp_path / "b.tar").exists()
