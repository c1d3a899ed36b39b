"""Tables at 80 columns: names and identifiers are whole, if over several lines."""

from __future__ import annotations

from uuid import UUID

from rich.console import Console, RenderableType

from intelgraph.cli.approval_keys import key_table
from intelgraph.cli.approval_view import approval_for_people, approval_table, news_line
from intelgraph.cli.load_quarantine import LoadQuarantine
from intelgraph.cli.load_summary import LoadSummary
from intelgraph.cli.loading import Destination, Loaded
from intelgraph.cli.quarantine import entry_table
from intelgraph.cli.tenants import tenant_table
from intelgraph.cli.unreadable import Unreadable
from intelgraph.client import (
    Approval,
    ApprovalState,
    ApproverKey,
    QuarantineEntry,
    QuarantineState,
    Tenant,
    TenantLimits,
    TenantState,
    Totals,
)

STREAM = "flights-20130101T000000Z-0badcafe"
ENTRY = UUID(int=7)
NAME = "n" * 63


def lines(shown: RenderableType) -> list[str]:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(shown)
    return captured.get().splitlines()


def test_quarantine_entries() -> None:
    entry = QuarantineEntry(
        quarantine_id=ENTRY,
        dataset="flights",
        stream_id=STREAM,
        sequence=1_234,
        producer="p",
        records=14_776,
        recorded_us=1_700_000_000_123_456,
        contract_version="1.0.0",
        state=QuarantineState.QUARANTINED,
    )
    head, first, stream, recorded = lines(entry_table([entry]))
    assert head.split()[-4:] == ["batch", "dataset", "records", "contract"]
    assert first.split() == [str(ENTRY), "1,234", "flights", "14,776", "1.0.0"]
    assert stream.strip() == STREAM
    assert recorded.strip() == "2023-11-14T22:13:20.123456Z"


def test_tenants() -> None:
    limits = TenantLimits(64, 1_000_000, 64 << 20, 100_000, 100)
    shown = lines(tenant_table([Tenant(ENTRY, NAME, TenantState.SUSPENDED, limits, 1_700_000_000_000_000)]))
    assert "…" not in "".join(shown)
    assert "".join(line.split(" ")[0] for line in shown[1:]) == NAME


def test_what_came_of_a_load() -> None:
    totals = Totals(
        sent=336_776,
        accepted=319_500,
        unchanged=1_000,
        duplicate=1_000,
        quarantined=14_776,
        settled_on_resume=500,
    )
    unreadable = Unreadable()
    unreadable.add(3, "not UTF-8")
    loaded = Loaded(
        source="flights-of-2013.csv",
        destination=Destination("flights", STREAM, "p"),
        totals=totals,
        seconds=3.0,
        ack_seconds=(0.123,),
        quarantined=(),
        rejections=(),
        unreadable=unreadable,
        reconnects=1,
    )
    shown = lines(LoadSummary([loaded], LoadQuarantine([], [], 14_776, [ENTRY])).for_people())
    text = " ".join(" ".join(shown).split())
    assert "…" not in text
    assert STREAM in text
    assert "sent accepted unchanged duplicate quarantined rate p95 ack" in text
    assert "500 records were settled while the connection broke" in text
    assert "flights-of-2013.csv: 1 line holds no record: not UTF-8 (line 3)" in text
    assert (
        f"14,776 records waited in quarantine already, see `intelgraph quarantine show ID` of {ENTRY}" in text
    )


APPROVAL = Approval(
    approval_id=ENTRY,
    tenant="local",
    platform=True,
    origin="o",
    kind="ledger.acknowledge_fork",
    title="go on after a fork of the ledger",
    document=b'{"origin":"\\u001b[2J"}',
    digest=bytes(32),
    plan=("The fork stays on record.",),
    now=(),
    reason="the database was restored",
    ticket="",
    role="security-officer",
    quorum=2,
    missing=1,
    requested_by="alice\x1b[31m@example.org",
    requested_us=1_700_000_000_123_456,
    expires_us=1_700_000_000_123_456,
    state=ApprovalState.REQUESTED,
    settled_by="",
    settled_us=0,
    superseded_by=None,
    decisions=(),
)


def test_approvals() -> None:
    head, first, kind, reason = lines(approval_table([APPROVAL]))
    assert head.split() == ["approval,", "kind,", "reason", "asked", "by", "state", "has"]
    assert first.split() == [str(ENTRY), r"alice\x1b[31m@example.org", "requested", "1", "of", "2"]
    assert kind.strip() == "ledger.acknowledge_fork"
    assert reason.strip() == "the database was restored"


def test_what_a_terminal_would_act_upon_is_shown_as_its_code() -> None:
    for shown in (
        approval_for_people(APPROVAL),
        approval_table([APPROVAL]),
        news_line(APPROVAL, awaits=True),
    ):
        text = "".join(line.strip() for line in lines(shown))
        assert "\x1b" not in text
    people = " ".join(lines(approval_for_people(APPROVAL)))
    assert r"alice\x1b[31m@example.org" in people
    assert r'"origin": "\u001b[2J"' in people
    assert "for the platform as a whole" in people
    assert "0" * 64 in people


def test_keys_of_approvers() -> None:
    key = ApproverKey(
        bytes(range(32)), "bob", "Ed25519", b"der", 1_700_000_000_123_456, 1, "carol", "lost it"
    )
    first, second, registered = lines(key_table([key]))[1:]
    assert first.split()[0] + second.strip() == key.key_id.hex()
    assert first.split()[1:] == ["bob", "Ed25519", "revoked", "by", "carol:", "lost", "it"]
    assert registered.strip() == "2023-11-14T22:13:20.123456Z"
