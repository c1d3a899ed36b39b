"""The gateway as a process: `intelgraph serve` from its start to its end, alone and with workers."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from intelgraph.gateway.launch import serve
from intelgraph.gateway.settings import ConfigurationError, Settings
from intelgraph.storage.settings import StorageSettings

COMMAND = (sys.executable, "-m", "intelgraph")
PATIENCE = 60.0


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings of the gateway but `extra`."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("INTELGRAPH_")}
    return {**inherited, **extra}


@dataclass
class Gateway:
    """A running `intelgraph serve`."""

    process: subprocess.Popen[str]
    facts: dict[str, Any]
    directory: Path
    errors: Path

    def cli(self, *arguments: str) -> Any:
        """What a verb answers, as JSON."""
        done = subprocess.run(
            [*COMMAND, *arguments, "--json", "--server", self.facts["grpc"], "--data-dir", "data"],
            cwd=self.directory,
            env=environment({}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def http(self, path: str) -> str:
        """What a path of the HTTP listener answers."""
        with urllib.request.urlopen(f"http://{self.facts['http']}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def workers(self) -> set[int]:
        """Process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signals it and returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def gateway(directory: Path, *flags: str, extra: Mapping[str, str] | None = None) -> Iterator[Gateway]:
    """Serves from `directory`, on free ports, until the block ends."""
    errors = directory / "errors.log"
    command = [*COMMAND, "serve", "--json", "--data-dir", "data", "--port", "0", "--http-port", "0", *flags]
    with errors.open("a") as log:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment(extra or {}),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    with process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, errors.read_text()
            yield Gateway(process, json.loads(line), directory, errors)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(PATIENCE)


@pytest.fixture
def dsns(storage_settings: StorageSettings) -> dict[str, str]:
    """Variables that name a fresh database of the session's PostgreSQL."""
    roles = {
        "OWNER": storage_settings.owner_dsn,
        "WRITER": storage_settings.writer_dsn,
        "READER": storage_settings.reader_dsn,
    }
    return {
        f"INTELGRAPH_STORAGE__{role}_DSN": dsn.get_secret_value()
        for role, dsn in roles.items()
        if dsn is not None
    }


def refused(directory: Path, *arguments: str, extra: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Exit code and standard error of a verb that does not run."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=directory,
        env=environment(extra or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    return done.returncode, done.stderr


def test_one_command_serves_with_a_postgresql_of_its_own(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        assert running.facts["grpc"].startswith("127.0.0.1:")
        assert [tenant["name"] for tenant in running.cli("tenants", "list")] == ["local"]
        created = running.cli("tenants", "create", "acme", "--streams", "3")
        assert (created["state"], created["limits"]["streams"]) == ("active", 3)
        assert json.loads(running.http("/readyz"))["ready"]
        code, message = refused(tmp_path, "serve", "--data-dir", "data", "--port", "0", "--http-port", "0")
        assert code == 64
        assert "DATA_DIRECTORY_IN_USE" in message
        assert running.stop() == 0
    log = [json.loads(line) for line in running.errors.read_text().splitlines()]
    events = [entry["event"] for entry in log]
    assert events.index("serving") < events.index("draining") < events.index("drained")
    with gateway(tmp_path) as again:
        assert [tenant["name"] for tenant in again.cli("tenants", "list")] == ["acme", "local"]


def test_tenants_from_creation_to_the_end(tmp_path: Path, dsns: dict[str, str]) -> None:
    with gateway(tmp_path, extra=dsns) as running:
        running.cli("tenants", "create", "acme")
        assert (
            running.cli("tenants", "limits", "acme", "--records-per-second", "10")["limits"][
                "records_per_second"
            ]
            == 10
        )
        assert running.cli("tenants", "suspend", "acme")["state"] == "suspended"
        assert running.cli("tenants", "suspend", "acme", "--resume")["state"] == "active"
        assert running.cli("tenants", "offboard", "acme", "--yes")["state"] == "offboarded"
        at = ("--server", running.facts["grpc"], "--data-dir", "data")
        code, message = refused(tmp_path, "tenants", "create", "acme", *at)
        assert (code, "TENANT_EXISTS" in message) == (2, True)
        code, message = refused(tmp_path, "tenants", "list", "--tenant", "acme", *at)
        assert (code, "TENANT_OFFBOARDED" in message) == (2, True)
        code, message = refused(tmp_path, "tenants", "list", "--tenant", "nobody", *at)
        assert (code, "TENANT_UNKNOWN" in message) == (2, True)
        token = running.cli("token", "--role", "connector")["token"]
        code, message = refused(tmp_path, "tenants", "list", *at, "--token", token)
        assert (code, "PERMISSION_DENIED" in message) == (2, True)


def test_tenant_of_another_gateway_is_seen(tmp_path: Path, dsns: dict[str, str]) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    keys = tmp_path / "one" / "data" / "keys"
    keyring = {
        "INTELGRAPH_KEYS__LOCAL__PATH": str(keys / "keyring.sealed"),
        "INTELGRAPH_KEYS__LOCAL__KEY_FILE": str(keys / "keyring.key"),
    }
    with (
        gateway(tmp_path / "one", extra=dsns) as one,
        gateway(tmp_path / "two", extra=dsns | keyring) as two,
    ):
        one.cli("tenants", "create", "acme")
        assert [tenant["name"] for tenant in two.cli("tenants", "list")] == ["acme", "local"]


@pytest.mark.parametrize(
    ("arguments", "setting", "fix"),
    [
        (("--host", "0.0.0.0"), "grpc.host", "set tls.certificate"),
        (("--http-host", "192.0.2.1"), "http.host", "set tls.certificate"),
        (("--port", "70000"), "grpc.port", "INTELGRAPH_GRPC__PORT"),
        (("--tls-certificate", "c.pem"), "tls", "set both or none"),
        (("--tls-certificate", "c.pem", "--tls-key", "k.pem"), "tls", "name PEM files"),
        (("--data-dir", "/proc/none"), "data_dir", "writable"),
        (("--config", "missing.toml"), "config", "name one that exists"),
    ],
)
def test_wrong_setting_exits_64_and_names_its_fix(
    tmp_path: Path, dsns: dict[str, str], arguments: tuple[str, ...], setting: str, fix: str
) -> None:
    code, message = refused(
        tmp_path, "serve", "--json", "--port", "0", "--http-port", "0", *arguments, extra=dsns
    )
    assert code == 64
    (wrong,) = json.loads(message.splitlines()[-1])["wrong_settings"]
    assert setting in wrong["setting"] + wrong["problem"]
    assert fix in wrong["problem"]


def test_data_directory_that_others_may_look_into(tmp_path: Path, dsns: dict[str, str]) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    code, message = refused(tmp_path, "serve", "--data-dir", "open", extra=dsns)
    assert code == 64
    assert "chmod 700" in message


def test_config_check(tmp_path: Path) -> None:
    (tmp_path / "intelgraph.toml").write_text("[grpc]\nport = 1234\n")
    done = subprocess.run(
        [*COMMAND, "config", "check", "--json"],
        cwd=tmp_path,
        env=environment({"INTELGRAPH_WORKERS": "3"}),
        capture_output=True,
        text=True,
        check=True,
    )
    settings = json.loads(done.stdout)
    assert (settings["grpc"]["port"], settings["workers"]) == (1234, 3)
    (tmp_path / "intelgraph.toml").write_text("[grpc]\nprot = 1234\n")
    code, message = refused(tmp_path, "config", "check")
    assert code == 64
    assert "did you mean port?" in message


def test_unreachable_gateway_exits_3(tmp_path: Path) -> None:
    code, message = refused(tmp_path, "tenants", "list", "--server", "127.0.0.1:9", "--token", "x.y.z")
    assert code == 3
    assert "GATEWAY_UNREACHABLE" in message


def test_workers_share_the_ports_and_sum_their_metrics(tmp_path: Path, dsns: dict[str, str]) -> None:
    with gateway(tmp_path, "--workers", "2", extra=dsns) as running:
        assert len(running.workers()) == 2
        for _ in range(3):
            running.cli("tenants", "list")
        series = 'grpc_server_handled_total{grpc_code="OK",grpc_method="ListTenants"'
        (line,) = [line for line in running.http("/metrics").splitlines() if line.startswith(series)]
        assert float(line.split()[-1]) == 3
        lines = running.http("/metrics").splitlines()
        for gauge in ("intelgraph_ingest_bytes_in_flight", "intelgraph_ingest_open_streams"):
            assert [line for line in lines if line.startswith(gauge)] == [f"{gauge} 0.0"]
        assert running.stop() == 0
    events = [json.loads(line)["event"] for line in running.errors.read_text().splitlines()]
    assert events.count("drained") == 2


def test_dead_worker_is_started_again(tmp_path: Path, dsns: dict[str, str]) -> None:
    with gateway(tmp_path, "--workers", "2", extra=dsns) as running:
        before = running.workers()
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while not (len(running.workers()) == 2 and victim not in running.workers()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        running.cli("tenants", "list")
        assert running.stop() == 0


def test_workers_end_with_their_supervisor(tmp_path: Path, dsns: dict[str, str]) -> None:
    with gateway(tmp_path, "--workers", "2", extra=dsns) as running:
        workers = running.workers()
        assert running.stop(signal.SIGKILL) == -signal.SIGKILL
        deadline = time.monotonic() + PATIENCE
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_worker_that_cannot_start_is_said_once(tmp_path: Path, dsns: dict[str, str]) -> None:
    broken = dsns | {"INTELGRAPH_STORAGE__READER_DSN": dsns["INTELGRAPH_STORAGE__WRITER_DSN"]}
    code, message = refused(
        tmp_path, "serve", "--workers", "2", "--port", "0", "--http-port", "0", extra=broken
    )
    assert code == 64
    assert message.count("DATABASE_ROLE_UNSAFE") == 1


def test_a_port_in_use_is_found_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for flags in (["--port", port, "--http-port", "0"], ["--port", "0", "--http-port", port]):
            code, message = refused(tmp_path, "serve", "--data-dir", "data", *flags)
            assert (code, port in message) == (64, True)
    assert not list((tmp_path / "data").iterdir())


def test_a_data_directory_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    # Root, who may run the tests, writes wherever the disk can be written.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigurationError, match="cannot be written: name a writable directory"):
        serve(Settings(data_dir=tmp_path), lambda _: None)
    assert not list(tmp_path.iterdir())


def test_a_file_where_the_identity_belongs_is_named(tmp_path: Path, dsns: dict[str, str]) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data/identity").write_text("")
    flags = ("--data-dir", "data", "--port", "0", "--http-port", "0")
    code, message = refused(tmp_path, "serve", *flags, extra=dsns)
    assert (code, "data/identity" in message, "Traceback" in message) == (64, True, False)
