"""Brings a gateway up around its embedded parts, in one process or several, and blocks until it has stopped.

Imports little: PostgreSQL starts while the rest of the gateway is still being imported.
"""

import importlib
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from intelgraph.gateway import logs
from intelgraph.gateway.data_directory import ensure_data_directory
from intelgraph.gateway.lifecycle import Listening, StopRequests
from intelgraph.gateway.ports import bound_socket
from intelgraph.gateway.settings import Settings
from intelgraph.keys.unlocking import with_passphrase_asked
from intelgraph.storage.embedded import EmbeddedServer


def serve(settings: Settings, listening: Callable[[Listening], None]) -> None:
    """Serves until SIGTERM or SIGINT; calls `listening` once calls are answered.

    Raises ConfigurationError, and IntelGraphError for a part that cannot be used.
    """
    logs.configure(settings.log_level)
    ensure_data_directory(settings.data_dir)
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


def _ensure_free(settings: Settings) -> None:
    """Raises ConfigurationError for a port in use, before PostgreSQL is created or started for nothing."""
    bound_socket(settings.grpc.host, settings.grpc.port, setting="grpc").close()
    bound_socket(settings.http.host, settings.http.port, setting="http").close()
