"""A database shared by the examples of a property."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest

from intelgraph.storage.database import Database
from intelgraph.storage.embedded import EmbeddedServer
from tests.parts.postgres import fresh_database
from tests.storage.naive_log import NaiveLog, create_tenant, write

T = TypeVar("T")


class Store:
    """One database; each example is a tenant of its own in it, so none has to be cleaned up after."""

    def __init__(self, runner: asyncio.Runner, database: Database) -> None:
        self._runner = runner
        self.database = database

    def run(self, steps: Coroutine[Any, Any, T]) -> T:
        """Awaits from a test that is not asynchronous itself, as Hypothesis wants it."""
        return self._runner.run(steps)

    async def tenant_with(self, log: NaiveLog) -> UUID:
        """A new tenant whose log is `log`."""
        tenant_id = uuid4()
        async with self.database.write() as connection:
            await create_tenant(connection, tenant_id)
            await write(connection, tenant_id, log.rows)
        return tenant_id


@pytest.fixture(scope="module")
def store(postgres: EmbeddedServer) -> Iterator[Store]:
    """The shared database."""
    with asyncio.Runner() as runner:
        opened = AsyncExitStack()
        settings = runner.run(opened.enter_async_context(fresh_database(postgres)))
        database = runner.run(Database.connect(settings))
        yield Store(runner, database)
        runner.run(database.close())
        runner.run(opened.aclose())
