"""The directory of the embedded PostgreSQL: created whole or not at all, and closed to everyone else.

Its owner is the server's account and its mode 0700, so the socket inside is out of everyone's reach too. The
server is told its directory as `/proc/self/cwd` and starts inside it: so neither the length of the path nor
the permissions of the directories above it matter, and none has to be opened for the server's account.
"""

import os
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

from intelgraph.errors import FailedPrecondition, Internal
from intelgraph.storage.account import Account
from intelgraph.storage.programs import MAJOR_VERSION

DATABASE = "intelgraph"
SUPERUSER = "postgres"

_IDENT_MAP = "gateway"
_INITDB = (
    f"--username={SUPERUSER}",
    "--auth=peer",
    "--encoding=UTF8",
    # Bytewise order everywhere: it needs no locale of the host, and an index survives the host's upgrade.
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    "--no-instructions",
)


def directory_argument(cluster: Path) -> str:
    """How a program that starts inside `cluster` is told the directory."""
    return "/proc/self/cwd" if sys.platform == "linux" else str(cluster)


def ensure_cluster(cluster: Path, account: Account, gateway: Account, programs: Path) -> None:
    """Creates the directory unless it exists, and writes its configuration.

    Raises FailedPrecondition POSTGRES_INCOMPLETE or, where a server of another major version wrote it,
    POSTGRES_MAJOR_VERSION, Internal INITDB_FAILED, and OSError.
    """
    if not cluster.exists():
        _create(cluster, account, programs)
    _require_version(cluster)
    configuration = files(__package__).joinpath("postgresql.conf").read_text()
    peers = "\n".join(
        f'{_IDENT_MAP} "{gateway.name}" {role}'
        for role in (SUPERUSER, "intelgraph_owner", "intelgraph_writer", "intelgraph_reader")
    )
    _write(cluster / "postgresql.conf", configuration, account)
    _write(cluster / "pg_hba.conf", f"local all all peer map={_IDENT_MAP}\n", account)
    _write(cluster / "pg_ident.conf", f"{peers}\n", account)


def _create(cluster: Path, account: Account, programs: Path) -> None:
    staging = cluster.with_name(f"{cluster.name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(mode=0o700)
    if not account.is_ours:
        os.chown(staging, account.uid, account.gid)
    directory = directory_argument(staging)
    initdb, postgres = str(programs / "initdb"), str(programs / "postgres")
    roles = files(__package__).joinpath("roles.sql").read_text()
    # Written without waiting for the disk, then synced as a whole before it gets its name: 0.5 s instead of
    # 0.9, and a directory of that name is always complete and durable.
    _run([initdb, *_INITDB, "--no-sync", "-D", directory], staging, account)
    _run(
        # -j: a statement ends at a semicolon and an empty line, so that a DO block is one.
        [postgres, "--single", "-j", "-c", "fsync=off", "-c", "exit_on_error=on", "-D", directory, SUPERUSER],
        staging,
        account,
        statements=f"{roles}\n\nCREATE DATABASE {DATABASE} OWNER intelgraph_owner;\n\n",
    )
    method = "syncfs" if sys.platform == "linux" else "fsync"
    _run([initdb, "--sync-only", f"--sync-method={method}", "-D", directory], staging, account)
    staging.rename(cluster)
    parent = os.open(cluster.parent, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def _run(command: list[str], directory: Path, account: Account, *, statements: str = "") -> None:
    user, group, others = (None, None, None) if account.is_ours else (account.uid, account.gid, ())
    finished = subprocess.run(  # noqa: S603 (the wheel's own programs)
        command,
        check=False,
        cwd=directory,
        input=statements.encode(),
        capture_output=True,
        env=server_environment(),
        umask=0o077,
        user=user,
        group=group,
        extra_groups=others,
    )
    if finished.returncode != 0:
        said = finished.stderr.decode(errors="replace").strip().splitlines()
        raise Internal(
            "INITDB_FAILED",
            f"PostgreSQL cannot create {directory}: {said[-1] if said else finished.returncode}",
            fix="make room or mend the permissions of the data directory, and start again",
        )


def server_environment() -> dict[str, str]:
    """What a PostgreSQL program gets to see: none of the gateway's environment, which may hold secrets."""
    return {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"}


def _require_version(cluster: Path) -> None:
    try:
        found = (cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        # A directory of this name was complete once: what else is gone nobody knows.
        raise FailedPrecondition(
            "POSTGRES_INCOMPLETE",
            f"{cluster} has lost files: there is no PG_VERSION in it",
            fix="restore the data directory from a backup; move that directory away to begin with no data",
        ) from None
    if found != str(MAJOR_VERSION):
        raise FailedPrecondition(
            "POSTGRES_MAJOR_VERSION",
            f"{cluster} was written by PostgreSQL {found}, and this gateway brings {MAJOR_VERSION}",
            fix=f"start it with the gateway that brings PostgreSQL {found}, dump it there and load it here",
        )


def _write(path: Path, text: str, account: Account) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text)
    fresh.chmod(0o600)
    if not account.is_ours:
        os.chown(fresh, account.uid, account.gid)
    fresh.replace(path)
