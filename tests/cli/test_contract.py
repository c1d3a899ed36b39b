"""`intelgraph contract put` and `check`: what is said of retention, and of the approval that shortening it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from intelgraph.cli.app import main
from tests.client.fake_gateway import serving
from tests.client.fake_services import APPROVAL_DOCUMENT, HELD, SHORTEN, FakeServices

APPROVAL = "0b8b5f7e-53b4-4f0e-9f55-2c7c6b1f6a11"
REQUEST = (
    f"intelgraph --tenant acme approvals request {SHORTEN} --reason WHY --document '{APPROVAL_DOCUMENT}'"
)


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def server(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    monkeypatch.setenv("COLUMNS", "80")
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(*services.servicers())) as address,
    ):
        yield ["--server", address, "--token", "t", "--tenant", "acme"]


@pytest.fixture
def plain(tmp_path: Path) -> str:
    """A document that shortens nothing."""
    file = tmp_path / "plain.json"
    file.write_text('{"retention":"short-30d"}')
    return str(file)


@pytest.fixture
def lifting(tmp_path: Path) -> str:
    """A document that lifts a hold."""
    file = tmp_path / "lifting.json"
    file.write_bytes(HELD)
    return str(file)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def test_what_lifts_a_hold_says_how_to_ask_for_the_approval(
    server: list[str], lifting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*server, "contract", "put", lifting) == 2
    shown = capsys.readouterr()
    request, then = (line.strip() for line in shown.err.splitlines() if line.startswith("  intelgraph"))
    assert (request, then) == (
        REQUEST,
        f"intelgraph --tenant acme contract put {lifting} --approval ID",
    )
    assert shown.out == ""
    assert run(*server, "contract", "put", lifting, "--json") == 2
    error = json.loads(capsys.readouterr().err)["error"]
    assert (error["reason"], error["request"], error["then"]) == ("APPROVAL_MISSING", request, then)


def test_what_was_published_before_is_said_too(
    server: list[str], plain: str, lifting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*server, "contract", "put", plain, lifting, plain, "--json") == 2
    shown = capsys.readouterr()
    assert [each["created"] for each in json.loads(shown.out)] == [True]
    assert json.loads(shown.err)["error"]["request"] == REQUEST


def test_with_the_approval_it_says_what_is_due(
    server: list[str], services: FakeServices, lifting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*server, "contract", "put", lifting, "--approval", APPROVAL) == 0
    assert services.contracts.approvals == [APPROVAL]
    shown = " ".join(capsys.readouterr().out.split())
    assert "lifts the legal hold: from then on ephemeral-7d. At most 36,500 changes and 12 records" in shown
    assert "are due now" in shown


def test_an_approval_is_of_one_document(
    server: list[str], services: FakeServices, plain: str, lifting: str
) -> None:
    assert run(*server, "contract", "put", plain, lifting, "--approval", APPROVAL) == 2
    assert services.contracts.approvals == []


def test_a_check_says_it_beforehand(
    server: list[str], services: FakeServices, plain: str, lifting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*server, "contract", "check", plain, lifting) == 0
    shown = capsys.readouterr().out
    assert f"  {REQUEST}" in shown.splitlines()
    assert "12 records in quarantine would be due" in " ".join(shown.split())
    assert run(*server, "contract", "check", plain, lifting, "--json") == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["is_published"], first["approval_document"], first["request"]) == (False, None, None)
    assert (second["retention"]["shortens"], second["request"]) == (True, REQUEST)
    assert services.contracts.approvals == []
