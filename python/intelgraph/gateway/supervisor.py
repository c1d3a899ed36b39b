"""Several serving processes on one port. The kernel spreads connections over them (SO_REUSEPORT).

The supervisor serves nothing itself: it owns the embedded parts, holds the ports, starts a worker that died
again, and drains all of them. A supervisor that is killed takes its workers along.
"""

import asyncio
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Final

import uvloop
from prometheus_client.multiprocess import mark_process_dead

from intelgraph.errors import IntelGraphError, Unavailable
from intelgraph.gateway import logs
from intelgraph.gateway.lifecycle import Listening, StopRequests
from intelgraph.gateway.ports import reserve
from intelgraph.gateway.settings import ConfigurationError, Settings

_SHORTEST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0
_STEADY_S: Final = 30.0
"""A worker that served this long is started again without a pause."""
_KILL_AFTER_S: Final = 10.0
"""Beyond the time to drain."""

_log = logging.getLogger(__name__)
_spawning = multiprocessing.get_context("spawn")  # gRPC's threads do not survive a fork


def supervise(settings: Settings, listening: Callable[[Listening], None]) -> None:
    """Runs `settings.workers` workers until SIGTERM or SIGINT.

    Raises what the first worker to fail at its start raised: ConfigurationError or IntelGraphError, which is
    Unavailable WORKER_NOT_STARTED if it died without a word.
    """
    grpc = reserve(settings.grpc.host, settings.grpc.port, setting="grpc")
    http = reserve(settings.http.host, settings.http.port, setting="http")
    try:
        ports = Listening(_port(grpc), _port(http))
        metrics = _fresh_metrics(settings.data_dir)
        supervisor = _Supervisor(_with_ports(settings, ports), metrics)
        asyncio.run(supervisor.run(lambda: listening(ports)))
    finally:
        grpc.close()
        http.close()


class _Supervisor:
    def __init__(self, settings: Settings, metrics: Path) -> None:
        self._settings = settings
        self._metrics = metrics
        self._stopping = asyncio.Event()
        self._processes: set[SpawnProcess] = set()

    async def run(self, started: Callable[[], None]) -> None:
        """Returns when all workers have ended; calls `started` once all serve."""
        stop = StopRequests(signal.SIGTERM, signal.SIGINT)
        serving = [asyncio.Event() for _ in range(self._settings.workers)]
        keepers = asyncio.gather(*(self._keep(index, event) for index, event in enumerate(serving)))
        stopper = asyncio.create_task(self._stop_on(stop))
        announcer = asyncio.create_task(_announce(serving, started))
        try:
            await keepers
        finally:
            await self._end_all()
            for task in (stopper, announcer):
                task.cancel()
            await asyncio.gather(keepers, stopper, announcer, return_exceptions=True)

    async def _keep(self, index: int, serving: asyncio.Event) -> None:
        """Keeps one worker running. Raises if it never served."""
        pause = _SHORTEST_PAUSE_S
        while not self._stopping.is_set():
            begun = time.monotonic()
            receiver, sender = _spawning.Pipe(duplex=False)
            process = _spawning.Process(
                target=_work, args=(self._settings, sender), name=f"intelgraph-worker-{index}"
            )
            process.start()
            sender.close()
            self._processes.add(process)
            try:
                failure = await _first_word(receiver)
                if failure is None:
                    serving.set()
                elif not serving.is_set() and not self._stopping.is_set():
                    raise failure
                await _readable(process.sentinel)
            finally:
                self._forget(process)
            if self._stopping.is_set():
                return
            pause = (
                _SHORTEST_PAUSE_S
                if time.monotonic() - begun > _STEADY_S
                else min(2 * pause, _LONGEST_PAUSE_S)
            )
            _log.error("worker ended", extra={"worker": index, "pid": process.pid, "restart_in_s": pause})
            await asyncio.sleep(pause)

    def _forget(self, process: SpawnProcess) -> None:
        if process.is_alive():
            return
        process.join()
        self._processes.discard(process)
        mark_process_dead(process.pid, str(self._metrics))  # type: ignore[no-untyped-call] # is untyped

    async def _stop_on(self, stop: StopRequests) -> None:
        """Passes every stop request on: the first drains the workers, the second stops them at once."""
        while True:
            await stop.wait()
            self._stopping.set()
            for process in self._processes:
                process.terminate()

    async def _end_all(self) -> None:
        self._stopping.set()
        deadline = time.monotonic() + self._settings.drain_s + _KILL_AFTER_S
        for process in list(self._processes):
            process.terminate()
        for process in list(self._processes):
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    await _readable(process.sentinel)
            except TimeoutError:
                process.kill()
                await _readable(process.sentinel)
            self._forget(process)


async def _announce(serving: list[asyncio.Event], started: Callable[[], None]) -> None:
    for event in serving:
        await event.wait()
    started()


async def _first_word(receiver: Connection) -> Exception | None:
    """None once the worker serves; what it raised, if it ended before."""
    try:
        await _readable(receiver.fileno())
        word: Exception | None = receiver.recv()
    except EOFError:
        return Unavailable("WORKER_NOT_STARTED", "a worker died at its start", fix="see the gateway's log")
    finally:
        receiver.close()
    return word


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)


def _work(settings: Settings, supervisor: Connection) -> None:
    """The main function of a worker."""
    # Ctrl-C reaches the whole process group; the supervisor passes it on as SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.configure(settings.log_level)
    try:
        uvloop.run(_serving(settings, supervisor))
    except (ConfigurationError, IntelGraphError) as error:
        supervisor.send(error)


async def _serving(settings: Settings, supervisor: Connection) -> None:
    from intelgraph.gateway.process import run

    stop = StopRequests(signal.SIGTERM)
    parent = multiprocessing.parent_process()
    if parent is not None:
        asyncio.get_running_loop().add_reader(parent.sentinel, _orphaned, parent.sentinel, stop)
    await run(settings, lambda _: supervisor.send(None), stop, shared_ports=True)


def _orphaned(sentinel: int, stop: StopRequests) -> None:
    """The supervisor was killed, and PostgreSQL with it: there is nothing to drain into."""
    asyncio.get_running_loop().remove_reader(sentinel)
    _log.error("the supervisor is gone")
    stop.request()
    stop.request()


def _fresh_metrics(data_dir: Path) -> Path:
    """The directory in which the workers sum their metrics; those of the last run would be counted again."""
    directory = data_dir / "run" / "metrics"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, parents=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    return directory


def _port(bound: socket.socket) -> int:
    return int(bound.getsockname()[1])


def _with_ports(settings: Settings, ports: Listening) -> Settings:
    return settings.model_copy(
        update={
            "grpc": settings.grpc.model_copy(update={"port": ports.grpc_port}),
            "http": settings.http.model_copy(update={"port": ports.http_port}),
        }
    )
