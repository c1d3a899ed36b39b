"""`intelgraph token`: mints an access token for local use."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from intelgraph.cli.attributes import name_and_value
from intelgraph.cli.invocation import invocation

app = typer.Typer()


@app.command()
def token(
    context: typer.Context,
    role: Annotated[
        list[str],
        typer.Option(
            help="Role to carry; may be repeated: connector, service, analyst, auditor, operator, …"
        ),
    ],
    subject: Annotated[
        str | None, typer.Option(help="Who is to be seen as the caller; by default as --as says.")
    ] = None,
    audience: Annotated[str, typer.Option(help="The gateway's setting auth.audience.")] = "intelgraph",
    attribute: Annotated[
        list[str] | None, typer.Option(help="Attribute for the policy, NAME=VALUE; may be repeated.")
    ] = None,
    minutes: Annotated[int, typer.Option(min=1, max=24 * 60, help="How long it is valid.")] = 60,
) -> None:
    """Mint an access token with the key in the data directory.

    For a gateway on loopback; one that trusts an issuer (auth.jwks) does not take it.
    """
    from intelgraph.gateway.local_identity import LocalIssuer
    from intelgraph.policy.platform import roles

    call = invocation(context)
    unknown = sorted(set(role) - roles())
    if unknown:
        raise typer.BadParameter(
            f"no such role: {', '.join(unknown)}; there are {', '.join(sorted(roles()))}", param_hint="--role"
        )
    try:
        issuer = LocalIssuer.open(call.data_dir)
    except OSError as error:
        raise typer.BadParameter(
            f"the key of {call.data_dir} cannot be read ({error.strerror or error}): name with --data-dir the"
            " directory of a gateway that has served on this host"
        ) from error
    holder = subject or call.subject
    minted = issuer.mint(
        call.tenant,
        role,
        subject=holder,
        audience=audience,
        lifetime=60.0 * minutes,
        attributes=dict(name_and_value(each) for each in attribute or []),
    )
    facts = {
        "token": minted,
        "tenant": call.tenant,
        "subject": holder,
        "roles": sorted(role),
        "expires": datetime.fromtimestamp(datetime.now(UTC).timestamp() + 60.0 * minutes, UTC).isoformat(),
    }
    if call.json:
        call.show(facts, Text)
    else:
        # Nothing but the token, so that it can be put into a variable; and never wrapped.
        typer.echo(minted)
