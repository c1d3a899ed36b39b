"""An approval for people, and as JSON for programs and auditors.

What others wrote is shown as it is only where it is printable: nobody approves what a terminal was made to show.
"""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from intelgraph.cli.moments import format_moment
from intelgraph.client import ApprovalState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from intelgraph.client import Approval, ApprovalNews, Decision

FORMAT: Final = "intelgraph.approval/v1"
"""As `intelgraph.approvals.proof` checks it."""

_PEM_LINE: Final = 64
_STYLES: Final = {
    ApprovalState.REQUESTED: "bold yellow",
    ApprovalState.APPROVED: "bold green",
    ApprovalState.USED: "green",
    ApprovalState.DENIED: "bold red",
}


def printable(text: str) -> str:
    """The text, with what a terminal would not show as it is written out."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def approval_as_json(approval: Approval) -> dict[str, Any]:
    """All of it; with its document it is what an auditor checks."""
    return {
        "format": FORMAT,
        "approval_id": str(approval.approval_id),
        "tenant": approval.tenant,
        "platform": approval.platform,
        "origin": approval.origin,
        "kind": approval.kind,
        "plan": list(approval.plan),
        "now": list(approval.now),
        "document": approval.document.decode(),
        "digest": approval.digest.hex(),
        "reason": approval.reason,
        "ticket": approval.ticket,
        "role": approval.role,
        "quorum": approval.quorum,
        "missing": approval.missing,
        "requested_by": approval.requested_by,
        "requested_us": approval.requested_us,
        "expires_us": approval.expires_us,
        "state": approval.state.name.lower(),
        "settled_by": approval.settled_by or None,
        "settled_us": approval.settled_us or None,
        "superseded_by": str(approval.superseded_by) if approval.superseded_by is not None else None,
        "decisions": [_decision_as_json(decision) for decision in approval.decisions],
    }


def _decision_as_json(decision: Decision) -> dict[str, Any]:
    return {
        "approver": decision.approver,
        "decision": decision.word,
        "decided_us": decision.decided_us,
        "machine": decision.machine,
        "reason": decision.reason,
        "statement": decision.statement.decode(),
        "algorithm": decision.algorithm or None,
        "public_key": pem(decision.public_key) if decision.public_key else None,
        "signature": base64.b64encode(decision.signature).decode() or None,
    }


def news_as_json(news: ApprovalNews) -> dict[str, Any]:
    """One line of `watch --json`."""
    return {
        "awaits_you": news.awaits_caller,
        "approval": approval_as_json(news.approval) if news.approval is not None else None,
    }


def pem(der: bytes) -> str:
    """A public key as text (RFC 7468)."""
    text = base64.b64encode(der).decode()
    lines = [text[at : at + _PEM_LINE] for at in range(0, len(text), _PEM_LINE)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


def approval_for_people(approval: Approval) -> RenderableType:
    """What a person needs to decide, what will happen first."""
    whom = "the platform as a whole" if approval.platform else f"the tenant {approval.tenant}"
    document = json.dumps(json.loads(approval.document), ensure_ascii=False, indent=2)
    return Group(
        Text(f"{printable(approval.kind)}: {printable(approval.title)}, for {whom}", style="bold"),
        Text(""),
        Text("What will happen", style="bold"),
        *(Padding(Text(printable(sentence)), (0, 0, 0, 2)) for sentence in (*approval.plan, *approval.now)),
        Text(""),
        Text("The exact document", style="bold"),
        *(Padding(Text(printable(line)), (0, 0, 0, 2)) for line in document.splitlines()),
        Text(""),
        _facts(approval),
    )


def _facts(approval: Approval) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("approval", str(approval.approval_id))
    table.add_row("digest", Text(approval.digest.hex()))
    table.add_row("state", Text(_standing(approval), style=_STYLES.get(approval.state, "bold")))
    table.add_row(
        "asked by", Text(f"{printable(approval.requested_by)}, {format_moment(approval.requested_us)}")
    )
    table.add_row("reason", Text(printable(approval.reason)))
    table.add_row("ticket", Text(printable(approval.ticket) or "none"))
    table.add_row("takes", Text(f"{approval.quorum} of the role {printable(approval.role)}"))
    for decision in approval.decisions:
        table.add_row("approved" if decision.word == "approve" else "denied", Text(_said(decision)))
    if approval.state is ApprovalState.REQUESTED:
        table.add_row("missing", Text(_missing(approval)))
    if approval.state in {ApprovalState.REQUESTED, ApprovalState.APPROVED}:
        table.add_row("expires", Text(f"{_remaining(approval)} ({format_moment(approval.expires_us)})"))
    if approval.superseded_by is not None:
        table.add_row("superseded by", str(approval.superseded_by))
    return table


def _standing(approval: Approval) -> str:
    state = approval.state.name.lower()
    if not approval.settled_us:
        return state
    by = f" by {printable(approval.settled_by)}" if approval.settled_by else ""
    return f"{state}{by}, {format_moment(approval.settled_us)}"


def _said(decision: Decision) -> str:
    who = f"{printable(decision.approver)} (a machine)" if decision.machine else printable(decision.approver)
    signed = f"signed with {decision.algorithm}" if decision.signature else "not signed"
    reason = f": {printable(decision.reason)}" if decision.reason else ""
    return f"{who}, {format_moment(decision.decided_us)}, {signed}{reason}"


def _missing(approval: Approval) -> str:
    out = sorted({approval.requested_by, *(decision.approver for decision in approval.decisions)})
    return (
        f"{approval.missing} more of the role {printable(approval.role)}, other than"
        f" {', '.join(printable(who) for who in out)}"
    )


def _remaining(approval: Approval) -> str:
    seconds = approval.expires_us // 1_000_000 - int(time.time())
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"in {seconds // length} {unit}"
    return f"in {max(seconds, 0)} s"


def approval_table(approvals: Iterable[Approval]) -> Table:
    """Approvals, one a row, within 80 columns; identifiers are whole, since they are there to be handed on."""
    table = Table(header_style="bold", box=None, collapse_padding=True, pad_edge=False)
    table.add_column("approval, kind, reason", min_width=36, overflow="fold")
    table.add_column("asked by", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("has", justify="right", no_wrap=True)
    for approval in approvals:
        table.add_row(
            Text(f"{approval.approval_id}\n{printable(approval.kind)}\n{printable(approval.reason)}"),
            Text(printable(approval.requested_by)),
            Text(approval.state.name.lower(), style=_STYLES.get(approval.state, "")),
            f"{approval.quorum - approval.missing} of {approval.quorum}",
        )
    return table


def news_line(approval: Approval, *, awaits: bool) -> RenderableType:
    """One approval that waits, or that does not any more."""
    head = f"{approval.approval_id} {printable(approval.kind)}"
    if not awaits:
        return Text(f"{head}: {_standing(approval)}", style="dim")
    plan = " ".join(printable(sentence) for sentence in approval.plan)
    return Text(f"{head}: asked by {printable(approval.requested_by)}, {approval.missing} missing. {plan}")
