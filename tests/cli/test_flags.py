"""`intelgraph flags`: what a person reads, within 80 columns, and what a script reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from anyio.from_thread import start_blocking_portal

from intelgraph import errors
from intelgraph.cli.app import main
from intelgraph.gateway.v1 import flag_pb2, flag_pb2_grpc
from tests.client.fake_gateway import end, serving

APPROVAL = "0b8b5f7e-53b4-4f0e-9f55-2c7c6b1f6a11"
DOCUMENT = (
    '{"after":"warn","before":"enforce by default","flag":"contracts","share_percent":null,"tenant":"acme"}'
)
REFUSAL = errors.FailedPrecondition(
    "APPROVAL_MISSING",
    "the change weakens",
    fix="ask",
    metadata={"kind": "flag.change", "document": DOCUMENT, "platform": "false"},
)


class FakeFlags(flag_pb2_grpc.FlagServiceServicer):
    """Two flags; one takes an approval to be set."""

    def __init__(self) -> None:
        self.requests: list[flag_pb2.SetFlagRequest] = []

    async def ListFlags(  # noqa: N802 - the wire's name
        self, request: flag_pb2.ListFlagsRequest, context: Any
    ) -> flag_pb2.ListFlagsResponse:
        names = [request.flag] if request.flag else ["contracts", "cmk"]
        tenants = ["acme", "other"] if request.all_tenants else ["acme"]
        return flag_pb2.ListFlagsResponse(
            values=[self._value(tenant, name) for tenant in tenants for name in names],
            flags=[self._flag(name) for name in names],
        )

    async def SetFlag(  # noqa: N802 - the wire's name
        self, request: flag_pb2.SetFlagRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> flag_pb2.SetFlagResponse:
        self.requests.append(request)
        if request.value == "warn" and not request.approval_id:
            await end(context, REFUSAL)
        return flag_pb2.SetFlagResponse(
            value=self._value("acme", request.flag), flag=self._flag(request.flag), changed=True
        )

    def _value(self, tenant: str, flag: str) -> flag_pb2.FlagValue:
        return flag_pb2.FlagValue(
            tenant=tenant,
            flag=flag,
            value="warn",
            reason=flag_pb2.FLAG_REASON_TENANT,
            until_us=1_900_000_000_000_000,
            changed_by="olga",
            changed_us=1_800_000_000_000_000,
            approval_id=APPROVAL,
        )

    def _flag(self, flag: str) -> flag_pb2.FlagShare:
        return flag_pb2.FlagShare(
            flag=flag,
            safe_value="enforce",
            weakened_value="warn",
            effect="a record that breaks its contract is stored",
            acts=flag == "contracts",
            share=10,
        )


@pytest.fixture
def flags() -> FakeFlags:
    return FakeFlags()


@pytest.fixture
def server(flags: FakeFlags, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    monkeypatch.setenv("COLUMNS", "80")
    servicer = (flag_pb2_grpc.add_FlagServiceServicer_to_server, flags)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(servicer)) as address,
    ):
        yield ["--server", address, "--token", "t"]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def test_a_list_says_what_holds_and_why(server: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*server, "flags", "list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(value["flag"], value["value"], value["why"]) for value in listed["values"]] == [
        ("contracts", "warn", "tenant"),
        ("cmk", "warn", "tenant"),
    ]
    assert listed["values"][0]["until"] == "2030-03-17T17:46:40Z"
    assert [flag["share"] for flag in listed["flags"]] == [10, 10]
    assert run(*server, "flags", "list", "--all") == 0
    shown = capsys.readouterr().out
    assert "other" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert run(*server, "flags", "show", "cmk") == 0
    shown = capsys.readouterr().out
    assert "does not act on it yet" in " ".join(shown.split())
    assert APPROVAL in shown


def test_what_takes_an_approval_says_how_to_ask_for_it(
    server: list[str], flags: FakeFlags, capsys: pytest.CaptureFixture[str]
) -> None:
    change = ("flags", "set", "contracts", "warn", "--until", "2030-01-01T00:00:00Z", "--tenant", "acme")
    assert run(*server, *change) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "APPROVAL_MISSING the change weakens"
    request, then = (line.strip() for line in lines if line.startswith("  intelgraph"))
    assert request == (
        f"intelgraph --tenant acme approvals request flag.change --reason WHY --document '{DOCUMENT}'"
    )
    assert then == (
        "intelgraph --tenant acme flags set contracts warn --until 2030-01-01T00:00:00Z --approval ID"
    )
    assert run(*server, *change, "--json") == 2
    error = json.loads(capsys.readouterr().err)["error"]
    assert (error["reason"], error["request"], error["then"]) == ("APPROVAL_MISSING", request, then)
    assert run(*server, *change, "--approval", APPROVAL, "--json") == 0
    assert json.loads(capsys.readouterr().out)["changed"]
    last = flags.requests[-1]
    assert (last.approval_id, last.until_us, last.HasField("share")) == (
        APPROVAL,
        1_893_456_000_000_000,
        False,
    )
    assert run(*server, "flags", "set", "contracts", "enforce", "--share", "100") == 0
    assert (flags.requests[-1].share, flags.requests[-1].HasField("until_us")) == (100, False)


def test_a_share_beyond_all_is_bad_usage(server: list[str], flags: FakeFlags) -> None:
    assert run(*server, "flags", "set", "contracts", "warn", "--share", "101") == 2
    assert flags.requests == []
