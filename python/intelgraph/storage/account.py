"""The operating-system account that the embedded PostgreSQL runs as.

PostgreSQL refuses to run as root. A gateway that root starts therefore gives the server an account that owns
nothing else, and everyone else's gateway runs the server as itself.
"""

import logging
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from intelgraph.errors import FailedPrecondition

SYSTEM_ACCOUNT = "intelgraph"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Account:
    """An account with a name, as `initdb` wants it."""

    name: str
    uid: int
    gid: int

    @property
    def is_ours(self) -> bool:
        """Whether this process runs under it already."""
        return self.uid == os.geteuid()


def gateway_account() -> Account:
    """The account that this process runs under.

    Raises FailedPrecondition ACCOUNT_UNNAMED where its number has no name, as in some containers:
    neither initdb nor peer authentication works then.
    """
    uid = os.geteuid()
    try:
        return _account(pwd.getpwuid(uid))
    except KeyError:
        raise FailedPrecondition(
            "ACCOUNT_UNNAMED",
            f"user id {uid} has no account name, which the embedded PostgreSQL needs",
            fix="add the id to /etc/passwd, or configure a PostgreSQL of your own by DSN",
        ) from None


def server_account(cluster: Path) -> Account:
    """The account that owns, or is to own, the directory of the server.

    Raises FailedPrecondition ACCOUNT_UNNAMED, ACCOUNT_MISSING, or DATA_DIRECTORY_NOT_OURS where somebody
    else's server has the directory.
    """
    ours = gateway_account()
    if cluster.exists():
        owner = cluster.stat().st_uid
        if ours.uid not in (owner, 0):
            raise FailedPrecondition(
                "DATA_DIRECTORY_NOT_OURS",
                f"{cluster} belongs to user id {owner}, and this gateway runs as {ours.name}",
                fix="start the gateway as the user that created the directory, or choose another",
            )
        if owner not in (ours.uid, 0):
            return _owner(owner, cluster.stat().st_gid)
    return ours if ours.uid != 0 else _system_account()


def _system_account() -> Account:
    try:
        return _account(pwd.getpwnam(SYSTEM_ACCOUNT))
    except KeyError:
        pass
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is not None:
        _log.warning("creating the system account %r: PostgreSQL does not run as root", SYSTEM_ACCOUNT)
        command = [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        created = subprocess.run(  # noqa: S603 (found on a fixed path, and no part is foreign)
            [*command, "--shell", "/usr/sbin/nologin", SYSTEM_ACCOUNT],
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
        # 9: the name exists, so another gateway was quicker.
        if created.returncode in (0, 9):
            return _account(pwd.getpwnam(SYSTEM_ACCOUNT))
    raise FailedPrecondition(
        "ACCOUNT_MISSING",
        f"PostgreSQL does not run as root, and the system account {SYSTEM_ACCOUNT!r} cannot be created",
        fix=f"start the gateway as an ordinary user, or create a system account named {SYSTEM_ACCOUNT!r}",
    )


def _owner(uid: int, gid: int) -> Account:
    try:
        return _account(pwd.getpwuid(uid))
    except KeyError:
        # A volume that came with another host's numbers: what is there already needs no name.
        return Account(name=str(uid), uid=uid, gid=gid)


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)
