"""What every query runs on, and how a DSN is opened wherever its socket is."""

import functools
import os
import re
import sys
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
"""A connection of asyncpg, of a pool or by itself."""

_SOCKET_NAME = "/.s.PGSQL.5432"
_LONGEST_SOCKET_PATH = 103
"""Bytes: `sun_path` of unix(7), 108 on Linux and 104 elsewhere, with its terminating zero."""

_PORT = re.compile(r"(?<!:):[0-9]+$|\]:[0-9]+$")


def reachable(dsn: str) -> str:
    """`dsn`, with a socket directory whose path is too long for the kernel replaced by a short way to it."""
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query))
    directory = query.get("host", "")
    too_long = len(os.fsencode(directory)) + len(_SOCKET_NAME) > _LONGEST_SOCKET_PATH
    # asyncpg takes a comma for the end of a host.
    if not directory.startswith("/") or not (too_long or "," in directory) or sys.platform != "linux":
        return dsn
    query["host"] = f"/proc/self/fd/{_opened(directory)}"
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote, safe="/")))


def shown_address(dsn: str) -> str:
    """Where a DSN leads, as hosts with ports or the directory of a socket; never user, password or options."""
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query))
    # What precedes the last @ holds the password, even one that is not quoted as it should be.
    hosts = unquote(parts.netloc.rpartition("@")[2]) or query.get("host", "")
    if not hosts:
        return "the default address"
    if hosts.startswith("/"):
        return f"the socket in {hosts}"
    port = query.get("port", "5432")
    return ", ".join(host if _PORT.search(host) else f"{host}:{port}" for host in hosts.split(","))


@functools.cache
def _opened(directory: str) -> int:
    """A descriptor of the directory, kept for the life of the process: there are few data directories."""
    return os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
