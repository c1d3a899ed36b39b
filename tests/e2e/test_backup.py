"""A gateway's state in one file: taken while it serves, checked, restored elsewhere, and served on."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from intelgraph.errors import FailedPrecondition
from tests.e2e.gateway import OBSERVATIONS, GatewayProcess

if TYPE_CHECKING:
    from collections.abc import Iterator


class Restored(GatewayProcess):
    """A gateway on a data directory that exists."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir.parent)
        self.data_dir = data_dir
        self._log = data_dir.parent / f"{data_dir.name}.log"


def moment(hour: int) -> str:
    return (datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=hour)).isoformat()


def load(gateway: GatewayProcess, stream: str, records: int) -> None:
    with gateway.blocking_client() as client:
        client.contracts.put(OBSERVATIONS)
        with client.stream("observations", stream, producer="test") as opened:
            opened.send(
                {"origin": f"{stream}{number % 7}", "time_hour": moment(number), "temp": number}
                for number in range(records)
            )


def temperature(gateway: GatewayProcess, origin: str) -> float:
    with gateway.blocking_client() as client:
        found: float = client.entities.get("observations", {"origin": origin}).json()["temp"]
        return found


def intelgraph(*arguments: str | Path, code: int = 0) -> Any:
    """What it prints as JSON, or its error; it ends with that code."""
    done = subprocess.run(
        [sys.executable, "-m", "intelgraph", "--json", *map(str, arguments)],
        env={name: value for name, value in os.environ.items() if not name.startswith("INTELGRAPH_")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    if code:
        return json.loads(done.stderr).get("error")
    return json.loads(done.stdout)


def verify(data_dir: Path) -> None:
    """Both logs are what was committed, and all of it."""
    (log,) = intelgraph("--data-dir", data_dir, "log", "verify")
    assert log["findings"] == []
    ledger = intelgraph("--data-dir", data_dir, "ledger", "verify")
    assert ledger["findings"] == []


def kinds(data_dir: Path, gateway: GatewayProcess) -> list[str]:
    listed = intelgraph(
        "--data-dir", data_dir, "--server", gateway.address, "ledger", "list", "--limit", "500"
    )
    return [entry["kind"] for entry in listed["entries"]]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    process = GatewayProcess(tmp_path_factory.mktemp("original"))
    process.start()
    load(process, "A", 300)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def taken(gateway: GatewayProcess) -> tuple[Path, dict[str, Any]]:
    """A backup that was taken while records came in."""
    file = gateway.data_dir.parent / "backup.tar"
    loading = threading.Thread(target=load, args=(gateway, "B", 3000))
    loading.start()
    said = intelgraph("--data-dir", gateway.data_dir, "backup", "--to", file, "--with-key-file")
    loading.join()
    return file, said


def test_a_backup_of_a_gateway_that_serves_is_served_on_elsewhere(
    gateway: GatewayProcess, taken: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    file, said = taken
    assert (said["unentered"], said["with_key_file"]) == (None, True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    verdict = intelgraph("backup", "verify", file)
    assert (verdict["sha256"], verdict["faults"]) == (said["sha256"], [])
    assert verdict["checkpoint_size"] > 0
    assert "backup.taken" in kinds(gateway.data_dir, gateway)

    there = tmp_path / "elsewhere"
    restored = intelgraph("--data-dir", there, "restore", file)
    assert (restored["kept"], restored["key_file"], restored["unentered"]) == ([], True, None)
    modes = {
        path.relative_to(there).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in (there, there / "keys", there / "postgres", *(there / "keys").glob("*"))
    }
    assert modes == {
        ".": 0o700,
        "keys": 0o700,
        "postgres": 0o700,
        "keys/keyring.sealed": 0o600,
        "keys/keyring.key": 0o600,
        "keys/keyring.sealed.lock": 0o600,
    }
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]

    second = Restored(there)
    second.start()
    try:
        assert temperature(second, "A5") == temperature(gateway, "A5")
        before = intelgraph("--data-dir", there, "--server", second.address, "ledger", "checkpoint")
        assert before["fork_index"] is None
        load(second, "C", 50)
        assert temperature(second, "C0") == 49
        assert "backup.restored" in kinds(there, second)
        verify(there)
        after = intelgraph("--data-dir", there, "--server", second.address, "ledger", "checkpoint")
        assert after["checkpoint"] != before["checkpoint"], "the ledger goes on"
        assert after["checkpoint"].split("\n")[0] == said["origin"]
    finally:
        second.stop()


def test_nothing_is_restored_over_what_is_there(
    gateway: GatewayProcess, taken: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    file, _ = taken
    refused = intelgraph("--data-dir", gateway.data_dir, "restore", file, code=64)
    assert refused["reason"] == "RESTORE_TARGET_NOT_EMPTY"
    (tmp_path / "something").write_text("else")
    intelgraph("--data-dir", tmp_path, "restore", file, code=64)
    assert [path.name for path in tmp_path.iterdir()] == ["something"]
    refused = intelgraph("--data-dir", gateway.data_dir, "backup", "--to", file, code=2)
    assert refused["reason"] == "BACKUP_EXISTS"


def test_a_backup_without_the_key_file_opens_for_who_has_it(
    gateway: GatewayProcess, taken: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    file, there = tmp_path / "sealed.tar", tmp_path / "there"
    intelgraph("--data-dir", gateway.data_dir, "backup", "--to", file)
    key = (gateway.data_dir / "keys/keyring.key").read_bytes()
    assert key not in file.read_bytes()
    assert key in taken[0].read_bytes()
    restored = intelgraph("--data-dir", there, "restore", file)
    assert (restored["key_file"], restored["unentered"]) == (False, "KEYRING_UNLOCK_MISSING")
    refused = intelgraph("--data-dir", there, "log", "verify", code=64)
    assert refused["reason"] == "KEYRING_UNLOCK_MISSING"
    (there / "keys/keyring.key").write_bytes(key)
    (there / "keys/keyring.key").chmod(0o600)
    (log,) = intelgraph("--data-dir", there, "log", "verify")
    assert log["findings"] == []


def test_a_restored_gateway_refuses_to_fork_until_it_has_recovered(tmp_path: Path) -> None:
    first = GatewayProcess(tmp_path)
    first.start()
    try:
        load(first, "A", 30)
        intelgraph("--data-dir", first.data_dir, "backup", "--to", tmp_path / "old.tar", "--with-key-file")
        load(first, "B", 30)
        kept = tmp_path / "kept"
    finally:
        first.stop()
    # The database is lost, and the log directory is not.
    shutil.copytree(first.data_dir / "ledger", kept)
    shutil.rmtree(first.data_dir)
    settings = tmp_path / "intelgraph.toml"
    settings.write_text(f'[ledger]\ndirectory = "{kept}"\n')
    config = ("--config", settings)
    restored = intelgraph("--data-dir", first.data_dir, "restore", tmp_path / "old.tar", *config)
    assert restored["kept"] == [str(kept)]

    first.start()  # finds the file in its working directory
    try:
        assert temperature(first, "A0") == 28, "reads go on"
        with pytest.raises(FailedPrecondition) as refused, first.blocking_client() as client:
            client.tenants.create("another")
        assert refused.value.reason == "LEDGER_FORKED"
        with pytest.raises(FailedPrecondition) as refused:
            load(first, "C", 5)
        assert refused.value.reason == "LEDGER_FORKED"
        said = intelgraph("--data-dir", first.data_dir, "backup", "--to", tmp_path / "forked.tar", *config)
        assert said["unentered"] is None

        verb = ("--data-dir", first.data_dir, "ledger", "recover", *config)
        planned = intelgraph(*verb, "--dry-run")
        recovered = intelgraph(*verb)
        assert (planned["done"], recovered["done"]) == (False, True)
        assert planned["first_index"] == recovered["first_index"] > 0
        assert planned["root"] == recovered["root"]
        assert intelgraph(*verb, code=2)["reason"] == "LEDGER_NOT_FORKED"

        load(first, "C", 5)
        assert temperature(first, "C4") == 4
        assert "ledger.recovered" in kinds(first.data_dir, first)
        verdict = intelgraph("--data-dir", first.data_dir, "ledger", "verify", *config)
        assert verdict["findings"] == []
    finally:
        first.stop()


def test_two_people_give_up_a_log_whose_tiles_are_lost(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path)
    copy, config = tmp_path / "copy", ("--config", tmp_path / "intelgraph.toml")
    config[1].write_text(f'[ledger]\ncheckpoint_copies = ["{copy}"]\n')
    gateway.start()  # finds the file in its working directory
    try:
        load(gateway, "A", 30)
        intelgraph(
            "--data-dir", gateway.data_dir, "backup", "--to", tmp_path / "old.tar", "--with-key-file", *config
        )
        load(gateway, "B", 30)
    finally:
        gateway.stop()
    shutil.rmtree(gateway.data_dir)
    intelgraph("--data-dir", gateway.data_dir, "restore", tmp_path / "old.tar", *config)
    at = ("--data-dir", gateway.data_dir, "--server", gateway.address)
    recover = ("--data-dir", gateway.data_dir, "ledger", "recover", *config)

    gateway.start()
    try:
        assert intelgraph(*recover, code=2)["reason"] == "LEDGER_TILES_LOST"
        document = tmp_path / "document.json"
        planned = intelgraph(*recover, "--acknowledge", "--dry-run", "-o", document)
        plan = (
            planned["kind"],
            "--document",
            document,
            "--reason",
            "the disk is lost",
        )
        asked = intelgraph(*at, "--as", "alice", "approvals", "request", *plan, "--platform")
        acknowledge = (
            *recover,
            "--acknowledge",
            "--reason",
            "the disk is lost",
            "--approval",
            asked["approval_id"],
        )
        assert intelgraph(*acknowledge, code=2)["reason"] == "APPROVAL_NOT_APPROVED"
        intelgraph(
            *at, "--as", "bob", "approvals", "approve", asked["approval_id"], "--digest", asked["digest"]
        )
        acknowledged = intelgraph(*acknowledge)
        assert acknowledged["origin"] == planned["document"]["origin"] + "/2"
        assert intelgraph(*acknowledge, code=2)["reason"] == "LEDGER_NOT_FORKED"

        load(gateway, "C", 5)
        assert temperature(gateway, "C4") == 4
        listed = kinds(gateway.data_dir, gateway)
        assert {"ledger.fork_acknowledged", "approval.requested", "approval.approved", "approval.used"} <= {
            *listed
        }
        assert intelgraph(*at, "ledger", "checkpoint")["checkpoint"].startswith(acknowledged["origin"] + "\n")
        assert intelgraph("--data-dir", gateway.data_dir, "ledger", "verify", *config)["findings"] == []
        assert list(copy.glob("forks/*/checkpoint"))
    finally:
        gateway.stop()
