"""How a serving process is asked to stop, and what it says when it serves."""

import asyncio
import signal
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a gateway that answers calls listens."""

    grpc_port: int
    http_port: int


class StopRequests:
    """Asks a serving process to stop: by SIGTERM or SIGINT, or by `request`."""

    def __init__(self, *signals: signal.Signals) -> None:
        self._requests: asyncio.Queue[None] = asyncio.Queue()
        for number in signals:
            asyncio.get_running_loop().add_signal_handler(number, self.request)

    def request(self) -> None:
        """Asks once."""
        self._requests.put_nowait(None)

    async def wait(self) -> None:
        """Returns when asked once more."""
        await self._requests.get()
