"""Every so-manieth commit fails, or happens and is not answered: nothing forks, nothing is lost or there twice."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg

from intelgraph.storage.connection import reachable
from tests.faults.audit import audit_documents, audit_log
from tests.faults.gateway import GatewayProcess, postgres_apart
from tests.faults.load import CONTRACT, load, producers
from tests.faults.lost_answers import losing_answers
from tests.faults.report import Report

# Fires at COMMIT, when everything is written; a sequence keeps counting over transactions that are undone.
_FAIL_AT_COMMIT = """
CREATE SEQUENCE fault;
CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  number bigint := nextval('public.fault');
BEGIN
  IF number % {every} = 0 THEN
    PERFORM pg_terminate_backend(pg_backend_pid());
    PERFORM pg_sleep(1);
  ELSIF number % {every} = {every} / 2 THEN
    RAISE EXCEPTION USING ERRCODE = 'serialization_failure';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER fault AFTER UPDATE ON tenant_clock DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION fault();
"""


@asynccontextmanager
async def _administrator(gateway: GatewayProcess) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    dsn = gateway.superuser_dsn.replace("/postgres?", "/intelgraph?")
    connection = await asyncpg.connect(reachable(dsn))
    try:
        yield connection
    finally:
        await connection.close()


async def test_every_fourth_commit_fails(
    gateway: GatewayProcess, moments: random.Random, report: Report, is_full: bool
) -> None:
    began = time.monotonic()
    streams = producers(4)
    async with gateway.client() as client, _administrator(gateway) as administrator:
        await client.contracts.put(CONTRACT)
        async with load(client, streams):
            await asyncio.sleep(0.3)
            await administrator.execute(_FAIL_AT_COMMIT.format(every=8))
            failed, enough = 0, 60 if is_full else 6
            while failed < enough:
                await asyncio.sleep(0.2)
                failed = await administrator.fetchval("SELECT last_value FROM fault") // 4
            await administrator.execute("DROP TRIGGER fault ON tenant_clock")
        seconds = time.monotonic() - began
        survived = await audit_log(gateway.superuser_dsn, streams, faults=failed, seconds=seconds)
        await audit_documents(client, streams, moments)
    report.survived["commit_failed"] = survived


async def test_commits_that_happen_and_are_not_answered(
    data_dir: Path, moments: random.Random, report: Report, is_full: bool
) -> None:
    began = time.monotonic()
    streams = producers(4)
    with postgres_apart(data_dir) as server, TemporaryDirectory() as directory:
        gateway = GatewayProcess(data_dir, server=server)
        gateway.settings["STORAGE__WRITER_DSN"] = (
            f"postgresql://intelgraph_writer@/intelgraph?host={directory}"
        )
        async with losing_answers(server.cluster, Path(directory), every=None) as relay:
            await asyncio.to_thread(gateway.start)
            try:
                async with gateway.client() as client:
                    await client.contracts.put(CONTRACT)
                    relay.lose_every(5)
                    async with load(client, streams):
                        while relay.lost < (60 if is_full else 6):  # noqa: ASYNC110 (the relay is told nothing)
                            await asyncio.sleep(0.1)
                    seconds = time.monotonic() - began
                    survived = await audit_log(
                        server.dsn("postgres"), streams, faults=relay.lost, seconds=seconds
                    )
                    await audit_documents(client, streams, moments)
            finally:
                await asyncio.to_thread(gateway.end)
    report.survived["commit_unanswered"] = survived
