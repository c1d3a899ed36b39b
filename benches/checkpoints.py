"""Checkpoints while the load runs."""

import asyncio
from typing import Final, NoReturn

from benches.postgres import Postgres

PERIOD_S: Final = 15.0
"""From one to the next. After each, every page is written whole once more; PostgreSQL's own timer is longer than a
run, and which run its trigger by size would hit is chance."""


async def checkpoint_periodically(postgres: Postgres) -> NoReturn:
    """Makes PostgreSQL write checkpoints until it is cancelled."""
    connection = await postgres.connect()
    try:
        while True:
            await asyncio.sleep(PERIOD_S)
            await connection.execute("checkpoint")
    finally:
        connection.terminate()
