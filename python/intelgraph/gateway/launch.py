"""Brings a gateway up around its embedded parts, in one process or several, and blocks until it has stopped.

Imports little: PostgreSQL starts while the rest of the gateway is still being imported.
"""

import importlib
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from intelgraph.gateway import logs
from intelgraph.gateway.lifecycle import Listening, StopRequests
from intelgraph.gateway.ports import bound_socket
from intelgraph.gateway.settings import ConfigurationError, Settings, WrongSetting
from intelgraph.keys.unlocking import with_passphrase_asked
from intelgraph.storage.embedded import EmbeddedServer


def serve(settings: Settings, listening: Callable[[Listening], None]) -> None:
    """Serves until SIGTERM or SIGINT; calls `listening` once calls are answered.

    Raises ConfigurationError, and IntelGraphError for a part that cannot be used.
    """
    logs.configure(settings.log_level)
    _ensure_private(settings.data_dir)
    _ensure_free(settings)
    keys = with_passphrase_asked(settings.keys, settings.data_dir / "keys")
    with _stored(settings.model_copy(update={"keys": keys})) as stored:
        if stored.workers == 1:
            _serve_here(stored, listening)
        else:
            from intelgraph.gateway.supervisor import supervise

            supervise(stored, listening)


def _serve_here(settings: Settings, listening: Callable[[Listening], None]) -> None:
    import uvloop

    from intelgraph.gateway.process import run

    async def serving() -> None:
        await run(settings, listening, StopRequests(signal.SIGTERM, signal.SIGINT))

    uvloop.run(serving())


@contextmanager
def _stored(settings: Settings) -> Iterator[Settings]:
    """The settings with the addresses of a PostgreSQL that runs."""
    if not settings.storage.embedded:
        yield settings
        return
    server = EmbeddedServer(settings.data_dir)
    with ThreadPoolExecutor(1) as background:
        starting = background.submit(server.start)
        importlib.import_module(f"{__package__}.{'process' if settings.workers == 1 else 'supervisor'}")
        starting.result()
    try:
        yield settings.model_copy(update={"storage": server.addresses(settings.storage)})
    finally:
        server.stop()


def _ensure_private(data_dir: Path) -> None:
    """Raises ConfigurationError if the data directory cannot be made, or others may look into it."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = data_dir.stat()
    except OSError as error:
        raise _wrong_data_dir(
            f"{data_dir} cannot be used ({error.strerror}): name a writable directory"
        ) from error
    if status.st_mode & 0o077:
        raise _wrong_data_dir(f"others may look into {data_dir}: run `chmod 700 {data_dir}`")
    if status.st_uid != os.geteuid():
        raise _wrong_data_dir(f"{data_dir} belongs to another account: run the gateway as that account")
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise _wrong_data_dir(f"{data_dir} cannot be written: name a writable directory")


def _ensure_free(settings: Settings) -> None:
    """Raises ConfigurationError for a port in use, before PostgreSQL is created or started for nothing."""
    bound_socket(settings.grpc.host, settings.grpc.port, setting="grpc").close()
    bound_socket(settings.http.host, settings.http.port, setting="http").close()


def _wrong_data_dir(problem: str) -> ConfigurationError:
    return ConfigurationError((WrongSetting("data_dir", problem),))
