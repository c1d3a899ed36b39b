"""Becomes PostgreSQL: drops root, ties its life to the gateway's, and executes the server.

Run as a script by `postmaster.py`, in an interpreter of its own, because what it does is not safe between
fork and exec of a process with threads. Its working directory is the server's directory already.

    launcher.py <pid of the gateway> <uid> <gid> <postgres> <argument of postgres>…
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main(arguments: list[str]) -> None:
    """Never returns."""
    gateway, uid, gid = (int(argument) for argument in arguments[:3])
    command = arguments[3:]
    if uid != os.geteuid():
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    os.umask(0o077)
    if sys.platform == "linux":
        # A gateway that is killed takes its server along: SIGINT is PostgreSQL's fast shutdown. The kernel
        # forgets the wish when the credentials change, hence the order.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != gateway:
            sys.exit("the gateway is gone")
    os.execv(command[0], command)  # noqa: S606 (no shell is the point)


if __name__ == "__main__":
    main(sys.argv[1:])
