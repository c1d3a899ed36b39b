"""That a process began to serve, and that it stopped."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from intelgraph import __version__
from intelgraph.errors import IntelGraphError
from intelgraph.provenance.actor import GATEWAY
from intelgraph.provenance.kinds.spine import GatewayStarted, GatewayStopped
from intelgraph.provenance.making_up import make_up

if TYPE_CHECKING:
    from intelgraph.provenance.facts import Facts
    from intelgraph.provenance.ledger import Ledger
    from intelgraph.storage.database import Database

RETRY_SECONDS: Final = 2.0

_log = logging.getLogger(__name__)


@asynccontextmanager
async def recorded_life(ledger: "Ledger", database: "Database", configuration: str) -> AsyncIterator[None]:
    """Has the start of this process in the ledger, and its stop when the block ends.

    A ledger that takes no entry now (it is forked, or its key cannot be had) does not keep a gateway from serving
    reads: the start is entered as soon as it can be.
    """
    process = f"{socket.gethostname()}:{os.getpid()}"
    started = GatewayStarted(__version__, configuration, process)
    entering = asyncio.create_task(_enter(ledger, database, started, process), name="enter the start")
    try:
        # As a rule it is entered before the first call is answered.
        await asyncio.wait([entering], timeout=RETRY_SECONDS)
        yield
    finally:
        entering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await entering
        try:
            await _append(ledger, database, GatewayStopped(configuration, process), process)
        except IntelGraphError as error:
            _log.warning("stop not entered in the ledger", extra={"why": error.reason})


async def _enter(ledger: "Ledger", database: "Database", started: GatewayStarted, process: str) -> None:
    while True:
        try:
            await make_up(ledger, database)
            await _append(ledger, database, started, process)
        except IntelGraphError as error:
            _log.warning("start not entered in the ledger yet", extra={"why": error.reason})
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return


async def _append(ledger: "Ledger", database: "Database", facts: "Facts", process: str) -> None:
    await ledger.ready()
    async with database.write() as connection:
        await ledger.append(connection, facts, subject=f"gateway:{process}", by=GATEWAY, tenant=None)
