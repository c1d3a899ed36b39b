"""`intelgraph tenants`: creates, limits, suspends and offboards tenants."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.filesize import decimal
from rich.table import Table

from intelgraph.cli.confirmation import confirm
from intelgraph.cli.invocation import invocation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from intelgraph.client import Client, Tenant

app = typer.Typer(no_args_is_help=True, help="Create, limit, suspend and offboard tenants.")

_OPERATOR = "operator"

Name = Annotated[
    str, typer.Argument(help="Name: lower-case letters, digits and hyphens.", show_default=False)
]
Streams = Annotated[int | None, typer.Option(min=1, help="Open ingest streams per process.")]
RecordsPerSecond = Annotated[int | None, typer.Option(min=0, help="0 means no limit.")]
BytesInFlight = Annotated[int | None, typer.Option(min=1, help="Bytes received and not yet answered.")]
QuarantineRecords = Annotated[int | None, typer.Option(min=0, help="Records that may wait in quarantine.")]
CacheShare = Annotated[
    int | None, typer.Option("--cache-share-percent", min=1, max=100, help="Share of the heads cache.")
]


@app.command()
def create(
    context: typer.Context,
    name: Name,
    streams: Streams = None,
    records_per_second: RecordsPerSecond = None,
    bytes_in_flight: BytesInFlight = None,
    quarantine_records: QuarantineRecords = None,
    cache_share: CacheShare = None,
) -> None:
    """Create a tenant; limits that are not given take the defaults."""
    from intelgraph.client import TenantLimits

    limits = TenantLimits(streams, records_per_second, bytes_in_flight, quarantine_records, cache_share)
    _act(context, lambda client: client.tenants.create(name, limits))


@app.command("list")
def list_tenants(context: typer.Context) -> None:
    """List all tenants by name."""
    call = invocation(context)
    with call.client(_OPERATOR) as client:
        tenants = list(client.tenants.list())
    call.show([_facts(tenant) for tenant in tenants], lambda: tenant_table(tenants))


@app.command()
def limits(
    context: typer.Context,
    name: Name,
    streams: Streams = None,
    records_per_second: RecordsPerSecond = None,
    bytes_in_flight: BytesInFlight = None,
    quarantine_records: QuarantineRecords = None,
    cache_share: CacheShare = None,
) -> None:
    """Change a tenant's limits; those that are not given stay as they are."""
    from intelgraph.client import TenantLimits

    changed = TenantLimits(streams, records_per_second, bytes_in_flight, quarantine_records, cache_share)
    _act(context, lambda client: client.tenants.set_limits(name, changed))


@app.command()
def suspend(
    context: typer.Context,
    name: Name,
    resume: Annotated[bool, typer.Option("--resume", help="Let it go on instead.")] = False,
) -> None:
    """Deny a tenant everything until it is let go on; it keeps its data."""
    if resume:
        _act(context, lambda client: client.tenants.resume(name))
    else:
        _act(context, lambda client: client.tenants.suspend(name))


@app.command()
def offboard(
    context: typer.Context,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Deny a tenant for good. Its name is never given again."""
    if not yes:
        confirm(invocation(context), f"Deny {name} for good?")
    _act(context, lambda client: client.tenants.offboard(name))


def _act(context: typer.Context, change: "Callable[[Client], Tenant]") -> None:
    """Makes one change and shows the tenant as it is then."""
    call = invocation(context)
    with call.client(_OPERATOR) as client:
        tenant = change(client)
    call.show(_facts(tenant), lambda: tenant_table([tenant]))


def _facts(tenant: "Tenant") -> dict[str, Any]:
    return {
        "tenant_id": str(tenant.tenant_id),
        "name": tenant.name,
        "state": tenant.state.name.lower(),
        "limits": asdict(tenant.limits),
        "created_us": tenant.created_us,
    }


def tenant_table(tenants: "Iterable[Tenant]") -> Table:
    """Tenants with their limits, one a row."""
    table = Table(header_style="bold", box=None, collapse_padding=True, pad_edge=False)
    table.add_column("tenant", overflow="fold")  # whole: it is what the other verbs take
    for column in ("state", "streams", "records/s", "in flight", "quarantine", "cache", "created"):
        table.add_column(column, no_wrap=True)
    for tenant in tenants:
        limits = tenant.limits
        table.add_row(
            tenant.name,
            tenant.state.name.lower(),
            f"{limits.streams:,}",
            f"{limits.records_per_second:,}" if limits.records_per_second else "any",
            decimal(limits.bytes_in_flight or 0),
            f"{limits.quarantine_records:,}",
            f"{limits.cache_share_percent} %",
            f"{tenant.created:%Y-%m-%d}",
        )
    return table
