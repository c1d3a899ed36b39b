"""The embedded server: closed to everyone else, there as long as the gateway, whole after anything."""

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from intelgraph.errors import FailedPrecondition, Unavailable
from intelgraph.storage import programs
from intelgraph.storage.connection import reachable
from intelgraph.storage.embedded import EmbeddedServer

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives the server an account of its own")
SOURCES = Path(__file__).parents[2] / "python"


def ask(
    server: EmbeddedServer, question: str, role: str = "postgres", database: str = "intelgraph"
) -> object:
    async def asked() -> object:
        connection = await asyncpg.connect(reachable(server.dsn(role, database)), timeout=5)
        try:
            return await connection.fetchval(question)
        finally:
            await connection.close()

    return asyncio.run(asked())


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def answers(server: EmbeddedServer) -> bool:
    try:
        return ask(server, "SELECT 1") == 1
    except (OSError, asyncpg.PostgresError):
        return False


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_nobody_else_gets_near_the_server(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "data") as server:
        assert stat.S_IMODE(server.cluster.stat().st_mode) == 0o700
        (socket,) = server.cluster.glob(".s.PGSQL.*[0-9]")
        assert stat.S_IMODE(socket.stat().st_mode) == 0o700
        for path in (server.data_dir, *server.data_dir.rglob("*")):
            assert path.is_symlink() or not path.stat().st_mode & 0o077, path
        assert ask(server, "SHOW listen_addresses") == ""
        assert ask(server, "SELECT array_agg(DISTINCT auth_method) FROM pg_hba_file_rules") == ["peer"]
        inodes = {line.split()[9] for kind in ("tcp", "tcp6", "udp", "udp6") for line in _proc_net(kind)}
        owned = {str(handle.readlink()) for handle in Path(f"/proc/{server.pid}/fd").iterdir()}
        assert not {f"socket:[{inode}]" for inode in inodes} & owned


@pytest.mark.parametrize("role", ["intelgraph_owner", "intelgraph_writer", "intelgraph_reader"])
def test_no_role_of_the_gateway_is_a_superuser(postgres: EmbeddedServer, role: str) -> None:
    assert ask(postgres, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user", role) is False


@AS_ROOT
def test_another_account_does_not_get_in(data_dir: Path) -> None:
    data_dir.parent.chmod(0o755)
    with EmbeddedServer(data_dir) as server:
        # Even where the directories would let it through.
        server.data_dir.chmod(0o755)
        server.cluster.chmod(0o711)
        (server.cluster / ".s.PGSQL.5432").chmod(0o777)
        for parent in data_dir.parents:
            if parent.stat().st_uid == 0 and parent.name.startswith(("pytest-", "popen-")):
                parent.chmod(0o711)
        psql = programs._package() / f"pginstall{programs.MAJOR_VERSION}/bin/psql"
        intruder = subprocess.run(
            [psql, "-h", server.cluster, "-U", "intelgraph_reader", "intelgraph", "-c", "SELECT 1"],
            user="nobody", group="nogroup", extra_groups=[], capture_output=True, check=False, text=True,
        )  # fmt: skip
    assert intruder.returncode == 2
    assert "Peer authentication failed" in intruder.stderr


@AS_ROOT
def test_no_directory_above_is_opened_for_the_servers_account(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    before = {path: path.stat().st_mode for path in (private, *private.parents)}
    with EmbeddedServer(private / "data") as server:
        assert answers(server)
        assert server.cluster.stat().st_uid != 0
    assert {path: path.stat().st_mode for path in before} == before


@AS_ROOT
def test_programs_out_of_reach_are_copied_to_where_they_are_public(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    package = programs._package()
    for name in (f"{package.name}/pginstall{programs.MAJOR_VERSION}", f"{package.name}.libs"):
        shutil.copytree(package.parent / name, private / name, ignore=shutil.ignore_patterns("include"))
    monkeypatch.setattr(programs, "_package", lambda: private / package.name)
    copies = Path("/var/cache") / f"intelgraph-test-{os.getpid()}"
    monkeypatch.setattr(programs, "PUBLIC_COPIES", copies)
    try:
        for _ in range(2):
            with EmbeddedServer(tmp_path / "data") as server:
                assert answers(server)
                program = Path(f"/proc/{server.pid}/exe").readlink()
                assert program.is_relative_to(copies)
                assert program.stat().st_uid == 0
                assert not program.stat().st_mode & 0o022
        assert len(list(copies.iterdir())) == 1
    finally:
        shutil.rmtree(copies, ignore_errors=True)


@AS_ROOT
def test_an_ordinary_user_runs_the_server_as_itself(tmp_path: Path) -> None:
    python = _public_python()
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    shutil.chown(home, "nobody")
    for parent in tmp_path.parents:
        if parent.stat().st_uid == 0 and parent.name.startswith(("pytest-", "popen-")):
            parent.chmod(0o711)
    tmp_path.chmod(0o711)
    script = (
        "import os, pathlib, sys; from intelgraph.storage.embedded import EmbeddedServer\n"
        "with EmbeddedServer(pathlib.Path(sys.argv[1])) as server:\n"
        "    assert server.cluster.stat().st_uid == os.geteuid() != 0\n"
        "    print(os.stat(f'/proc/{server.pid}').st_uid == os.geteuid())\n"
    )
    packages = os.pathsep.join(map(str, [SOURCES, *(path for path in sys.path if "site-packages" in path)]))
    done = subprocess.run(
        [python, "-c", script, home / "data"], user="nobody", group="nogroup", extra_groups=[],
        capture_output=True, check=False, text=True, cwd="/", env={"PYTHONPATH": packages},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


@pytest.mark.parametrize("name", ["x" * 200, "a,b", "with space", "ünï", "50%41"])
def test_any_path_will_do(tmp_path: Path, name: str) -> None:
    with EmbeddedServer(tmp_path / name) as server:
        assert _through_the_gateways_way(server) == 1


def test_what_was_stored_is_there_after_a_restart(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        ask(server, "CREATE TABLE kept AS SELECT 42 AS answer")
        first = server.pid
    assert first is not None
    assert not alive(first)
    with EmbeddedServer(data_dir) as server:
        assert ask(server, "SELECT answer FROM kept") == 42


def test_an_operators_setting_lasts_and_what_keeps_it_closed_cannot_be_set(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        ask(server, "ALTER SYSTEM SET max_wal_size = '5GB'")
        ask(server, "ALTER SYSTEM SET listen_addresses = '*'")
    with EmbeddedServer(data_dir) as server:
        assert ask(server, "SHOW max_wal_size") == "5GB"
        assert ask(server, "SHOW listen_addresses") == ""
        assert ask(server, "SHOW fsync") == ask(server, "SHOW synchronous_commit") == "on"


def test_a_data_directory_has_one_gateway(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        with pytest.raises(FailedPrecondition, match=str(os.getpid())) as caught:
            EmbeddedServer(data_dir).start()
        assert caught.value.reason == "DATA_DIRECTORY_IN_USE"
        assert answers(server)


def test_another_major_version_is_refused_and_left_alone(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        version = server.cluster / "PG_VERSION"
    version.write_text("15\n")
    with pytest.raises(FailedPrecondition) as caught:
        EmbeddedServer(data_dir).start()
    assert caught.value.reason == "POSTGRES_MAJOR_VERSION"
    version.write_text(f"{programs.MAJOR_VERSION}\n")
    with EmbeddedServer(data_dir) as server:
        assert answers(server)


def test_a_directory_that_lost_files_is_named_and_not_made_anew(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        version = server.cluster / "PG_VERSION"
        control = server.cluster / "global/pg_control"
    content = control.read_bytes()
    control.unlink()
    with pytest.raises(Unavailable, match="pg_control") as not_started:
        EmbeddedServer(data_dir).start()
    assert not_started.value.reason == "POSTGRES_NOT_STARTED"
    assert "postgres.log" in not_started.value.fix
    control.write_bytes(content)
    version.unlink()
    with pytest.raises(FailedPrecondition, match="PG_VERSION") as incomplete:
        EmbeddedServer(data_dir).start()
    assert incomplete.value.reason == "POSTGRES_INCOMPLETE"


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file where a directory belongs")
    with pytest.raises(FailedPrecondition, match=str(tmp_path / "run")) as caught:
        EmbeddedServer(tmp_path).start()
    assert caught.value.reason == "DATA_DIRECTORY_UNUSABLE"


def test_a_creation_that_was_interrupted_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "postgres.new" / "base").mkdir(parents=True)
    with EmbeddedServer(tmp_path) as server:
        assert answers(server)
    assert not (tmp_path / "postgres.new").exists()


def test_a_server_that_does_not_start_says_why_and_gives_the_directory_free(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        automatic = server.cluster / "postgresql.auto.conf"
    automatic.write_text("max_connections = 'many'\n")
    for _ in range(2):
        with pytest.raises(Unavailable, match="configuration file") as caught:
            EmbeddedServer(data_dir).start()
        assert caught.value.reason == "POSTGRES_NOT_STARTED"
    automatic.write_text("")
    with EmbeddedServer(data_dir) as server:
        assert answers(server)


def test_a_server_that_is_killed_is_started_again(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        ask(server, "CREATE TABLE kept AS SELECT 42 AS answer")
        for _ in range(2):
            killed = server.pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            until(partial(_replaced, server, killed))
        assert ask(server, "SELECT answer FROM kept") == 42


def test_a_lock_file_that_names_a_strangers_process_does_not_stop_it(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        lock_file = server.cluster / "postmaster.pid"
        lines = lock_file.read_text().splitlines()
        owner = server.cluster.stat()
    with subprocess.Popen(["/bin/sleep", "60"], user=owner.st_uid, extra_groups=[]) as stranger:
        lock_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        shutil.chown(lock_file, owner.st_uid, owner.st_gid)
        with EmbeddedServer(data_dir) as server:
            assert answers(server)
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ties the server's life to the gateway's")
def test_the_server_of_a_gateway_that_is_killed_ends_and_the_next_gateway_has_all(data_dir: Path) -> None:
    script = (
        "import pathlib, sys, time; from intelgraph.storage.embedded import EmbeddedServer\n"
        "server = EmbeddedServer(pathlib.Path(sys.argv[1])); server.start()\n"
        "print(server.pid, flush=True); time.sleep(600)\n"
    )
    for round_ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", script, data_dir], stdout=subprocess.PIPE, text=True,
            env={"PYTHONPATH": str(SOURCES), "PATH": os.environ["PATH"]},
        ) as gateway:  # fmt: skip
            assert gateway.stdout is not None
            pid = int(gateway.stdout.readline())
            server = EmbeddedServer(data_dir)
            ask(server, f"CREATE TABLE round_{round_} AS SELECT {round_}")
            gateway.kill()
        with EmbeddedServer(data_dir) as server:
            assert not alive(pid)
            assert ask(server, "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'round_%'") == round_ + 1


def test_the_server_sees_nothing_of_the_gateways_environment(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTELGRAPH_SECRET", "hunter2")
    with EmbeddedServer(data_dir) as server:
        assert b"hunter2" not in Path(f"/proc/{server.pid}/environ").read_bytes()


def test_a_statement_and_its_values_never_reach_the_log(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        ask(server, "CREATE TABLE names (name text PRIMARY KEY, CHECK (name <> 'N14228'))")
        for broken in (
            "INSERT INTO names VALUES ('N14228')",
            "INSERT INTO names VALUES ('N24211'), ('N24211')",
            "SELECT 'N619AA'::int",
            "N668DN",
        ):
            with pytest.raises(asyncpg.PostgresError):
                ask(server, broken)
        logged = (data_dir / "run" / "postgres.log").read_text()
    assert "ready to accept connections" in logged
    for value in ("N14228", "N24211", "N619AA", "N668DN"):
        assert value not in logged


def _replaced(server: EmbeddedServer, killed: int) -> bool:
    return server.pid not in (None, killed) and answers(server)


def _through_the_gateways_way(server: EmbeddedServer) -> object:
    from intelgraph.storage.connection import reachable  # noqa: PLC0415 (not what the other tests use)

    async def asked() -> object:
        connection = await asyncpg.connect(reachable(server.dsn("intelgraph_reader")))
        try:
            return await connection.fetchval("SELECT 1")
        finally:
            await connection.close()

    return asyncio.run(asked())


def _proc_net(kind: str) -> list[str]:
    return Path(f"/proc/net/{kind}").read_text().splitlines()[1:]


def _public_python() -> str:
    """An interpreter of this version that any account can run."""
    for candidate in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            found = subprocess.run(
                [candidate, "-c", "import sys; print(*sys.version_info[:2])"],
                user="nobody", group="nogroup", extra_groups=[], capture_output=True, check=True, text=True,
            )  # fmt: skip
        except (OSError, subprocess.CalledProcessError):
            continue
        if found.stdout.split() == [str(part) for part in sys.version_info[:2]]:
            return candidate
    pytest.skip("no Python of this version that every account can run")
