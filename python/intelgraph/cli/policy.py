"""`intelgraph policy`: the rules that a tenant adds to the platform's, and why something is denied."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from intelgraph.cli.attributes import name_and_value
from intelgraph.cli.invocation import invocation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intelgraph.client import PolicyExplanation, PolicyRevision

EXIT_FINDINGS: Final = 1
_OFFICER: Final = "security-officer"

app = typer.Typer(
    no_args_is_help=True,
    help="Rules that a tenant adds to the platform's: they can deny more, and allow nothing.",
)

Files = Annotated[
    list[Path],
    typer.Argument(help="Rego files; tests may lie in files that end with _test.rego.", show_default=False),
]


@app.command()
def show(
    context: typer.Context,
    version: Annotated[int, typer.Option(min=0, help="Version; 0 is the one in force.")] = 0,
    all_: Annotated[bool, typer.Option("--all", help="List all versions instead.")] = False,
) -> None:
    """Show the rules in force, or list the versions."""
    call = invocation(context)
    with call.client(_OFFICER) as client:
        if all_:
            revisions = list(client.policies.revisions())
            call.show([_facts(each) for each in revisions], lambda: _revision_table(revisions))
            return
        policy = client.policies.get(version)
    modules = [{"name": each.name, "text": each.text} for each in policy.modules]
    call.show(
        _facts(policy.revision) | {"modules": modules},
        lambda: Group(
            _revision_table([policy.revision]),
            *(Group(Text(f"\n# {each.name}", "bold"), Text(each.text.rstrip())) for each in policy.modules),
        ),
    )


@app.command()
def check(context: typer.Context, files: Files) -> None:
    """Compile rules and run their tests, here and without a gateway. Ends with 2, and the lines, if they do not fit.

    --tenant names the tenant whose rules they are.
    """
    _run(context, files, lambda tests: Text(f"the rules fit, and {len(tests)} tests hold", "green"))


@app.command()
def test(context: typer.Context, files: Files) -> None:
    """As check, and list the tests."""
    _run(context, files, _test_table)


@app.command()
def put(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Rego files: all of the tenant's rules, with their tests.", show_default=False),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compile and test there; change nothing.")
    ] = False,
    replaces: Annotated[
        int | None, typer.Option(min=0, help="Only if this version is in force; 0 means none.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the rules instead.")] = False,
) -> None:
    """Put rules in force, on every gateway within two seconds."""
    if remove == bool(files):
        raise typer.BadParameter("name the files with the rules, or give --remove")
    from intelgraph.client import PolicyModule

    call = invocation(context)
    modules = [PolicyModule(name, text) for name, text in _read(files or [])]
    with call.client(_OFFICER) as client:
        done = client.policies.put(modules, dry_run=dry_run, replaces=replaces)
    facts = {"revision": _facts(done.revision) if done.revision else None, "created": done.created}
    call.show(
        facts | {"tests": list(done.tests)}, lambda: _put_view(done.revision, done.created, len(done.tests))
    )


@app.command()
def explain(
    context: typer.Context,
    permission: Annotated[str, typer.Argument(help="For example entity.read.", show_default=False)],
    role: Annotated[list[str] | None, typer.Option(help="Role of the caller; may be repeated.")] = None,
    subject: Annotated[str, typer.Option(help="The caller.")] = "",
    attribute: Annotated[
        list[str] | None, typer.Option(help="Attribute of the caller, NAME=VALUE; may be repeated.")
    ] = None,
    machine: Annotated[bool, typer.Option("--machine", help="No person stands behind the call.")] = False,
    dataset: Annotated[str, typer.Option(help="Dataset that the request names.")] = "",
) -> None:
    """Say what would be decided on a caller, and what decides it. Ends with 1 if it is denied."""
    attributes = dict(name_and_value(each) for each in attribute or [])
    call = invocation(context)
    with call.client(_OFFICER) as client:
        explained = client.policies.explain(
            permission, role or [], subject=subject, attributes=attributes, machine=machine, dataset=dataset
        )
    facts = {
        "allow": explained.allow,
        "reason": explained.reason,
        "granted_by": list(explained.granted_by),
        "denials": [{"text": each.text, "places": list(each.places)} for each in explained.denials],
        "fault": explained.fault,
        "revision": explained.revision,
    }
    call.show(facts, lambda: _explanation(permission, role or [], explained))
    if not explained.allow:
        raise typer.Exit(EXIT_FINDINGS)


def _run(context: typer.Context, files: list[Path], view: Any) -> None:
    from intelgraph.policy.platform import platform_bundle
    from intelgraph.policy.rules import Module, compile_new_rules

    call = invocation(context)
    modules = [Module(name, text) for name, text in _read(files)]
    bundle = compile_new_rules(platform_bundle(), call.tenant, modules)
    call.show({"tenant": call.tenant, "tests": bundle.tests}, lambda: view(bundle.tests))


def _read(files: Sequence[Path]) -> list[tuple[str, str]]:
    from intelgraph.errors import InvalidArgument

    try:
        return [(file.name, file.read_text(encoding="utf-8")) for file in files]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(
            "FILE_UNREADABLE", f"a file with rules cannot be read: {error}", fix="name readable UTF-8 files"
        ) from error


def _facts(revision: PolicyRevision) -> dict[str, Any]:
    return {
        "version": revision.version,
        "revision": revision.revision.hex(),
        "in_force": revision.in_force,
        "files": list(revision.files),
        "created_by": revision.created_by,
        "created_us": revision.created_us,
    }


def _revision_table(revisions: Sequence[PolicyRevision]) -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in ("version", "in force", "put", "by", "files", "revision (SHA-256)"):
        table.add_column(column, overflow="fold")
    for each in revisions:
        table.add_row(
            str(each.version),
            "yes" if each.in_force else "",
            f"{each.created:%Y-%m-%d %H:%M:%S}",
            each.created_by,
            ", ".join(each.files) or "(removed)",
            each.revision.hex()[:16] + "…",
        )
    return table


def _test_table(tests: Sequence[str]) -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False)
    table.add_column("test", overflow="fold")
    table.add_column("")
    for test in tests:
        table.add_row(test, Text("holds", "green"))
    return table


def _put_view(revision: PolicyRevision | None, created: bool, tests: int) -> RenderableType:
    if revision is None:
        return Text(f"the rules fit, and {tests} tests hold; nothing was changed", "green")
    said = "in force" if created else "was in force already"
    return Group(
        Text(f"version {revision.version} {said}; {tests} tests hold", "green"), _revision_table([revision])
    )


def _explanation(permission: str, roles: Sequence[str], explained: PolicyExplanation) -> Group:
    verdict = Text("allowed", "green") if explained.allow else Text(f"denied: {explained.reason}", "red")
    granting = ", ".join(explained.granted_by) or "no role"
    lines = [
        verdict,
        Text(f"{permission} is granted by {granting}; the caller has {', '.join(roles) or 'none'}"),
        *(
            Text(f"denied by “{each.text}” at {', '.join(each.places)}", "yellow")
            for each in explained.denials
        ),
    ]
    if explained.fault:
        lines.append(Text(f"a rule failed: {explained.fault}", "yellow"))
    lines.append(Text(f"revision {explained.revision}", "dim"))
    return Group(*lines)
