"""Connections of the client: one, or one to each of the processes that share an address."""

import asyncio
from collections.abc import Sequence
from typing import Final

import grpc.aio
import psutil

from benches.wire import CHANNEL_OPTIONS

_ATTEMPTS: Final = 64
_OWN_CONNECTION: Final = (("grpc.use_local_subchannel_pool", 1),)
"""Without it, gRPC gives all channels of a process to one address the same connection."""


async def open_channels(target: str, server_pid: int, workers: int) -> list[grpc.aio.Channel]:
    """Opens a channel to each of the `workers` processes beneath `server_pid`. They stay bound to the running loop.

    The kernel decides by the connection's port which worker gets it, so channels are opened until each has one.

    Raises:
        RuntimeError: if a worker never gets one.
    """
    if workers == 1:
        return [grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)]
    kept: dict[int, grpc.aio.Channel] = {}
    spare: list[grpc.aio.Channel] = []
    port = int(target.rpartition(":")[2])
    held = _connections(server_pid, port)
    for _ in range(_ATTEMPTS):
        channel = grpc.aio.insecure_channel(target, options=(*CHANNEL_OPTIONS, *_OWN_CONNECTION))
        await channel.channel_ready()
        now = _connections(server_pid, port)
        (worker,) = (pid for pid, count in now.items() if count > held.get(pid, 0))
        held = now
        if worker in kept:
            spare.append(channel)
        else:
            kept[worker] = channel
        if len(kept) == workers:
            await close(spare)
            return list(kept.values())
    await close([*spare, *kept.values()])
    raise RuntimeError(f"only {len(kept)} of {workers} workers got one of {_ATTEMPTS} connections")


async def close(channels: Sequence[grpc.aio.Channel]) -> None:
    """Closes channels."""
    await asyncio.gather(*(channel.close() for channel in channels))


def _connections(server_pid: int, port: int) -> dict[int, int]:
    """Number of connections to the port that each process beneath `server_pid` holds."""
    return {
        process.pid: sum(
            connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == port
            for connection in process.net_connections(kind="tcp")
        )
        for process in psutil.Process(server_pid).children(recursive=True)
    }
