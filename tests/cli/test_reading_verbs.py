"""`intelgraph entity`, `contract` and `quarantine` against services that speak the wire."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from intelgraph.cli.app import main
from intelgraph.gateway.contract_service import MAX_RECORDS
from tests.client.fake_gateway import serving
from tests.client.fake_services import ENTITY_ID, QUARANTINE_ID, FakeServices


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def server(services: FakeServices) -> Iterator[list[str]]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(*services.servicers())) as address,
    ):
        yield ["--server", address, "--token", "t"]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_get_as_of_a_moment(
    server: list[str], services: FakeServices, capsys: pytest.CaptureFixture[str]
) -> None:
    moments = ("--valid", "1970-01-01T00:00:05Z", "--recorded", "7")
    assert run(*server, "entity", "get", "weather", '{"origin": "EWR"}', *moments, "--json") == 0
    (request,) = services.entities.requests
    assert request.entity.key == b'{"origin":"EWR"}'
    assert (request.as_of.valid_us, request.as_of.recorded_us) == (5_000_000, 7)
    shown = answer(capsys)
    assert shown["document"] == {"temp": 1}
    assert shown["valid_at"] == "1970-01-01T00:00:01Z"
    assert shown["operation"] == "update"


def test_a_moment_beyond_64_bits_is_bad_usage(server: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for moment in ("9" * 23, str(1 << 63), str(-(1 << 63) - 1)):
        assert run(*server, "entity", "get", "weather", "EWR", f"--valid={moment}") == 2
        assert "64 bits" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--ca", "--certificate", "--key"])
def test_a_tls_file_that_is_not_there_is_bad_usage(
    server: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert run(*server, option, str(tmp_path / "absent.pem"), "entity", "get", "weather", "EWR") == 2
    # The path may be long, and the message broken anywhere within its frame.
    shown = " ".join(re.sub("[─-╿]", " ", capsys.readouterr().err).split())
    assert option in shown
    assert "No such file" in shown


def test_a_certificate_without_its_key_is_bad_usage(
    server: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "client.pem"
    file.touch()
    assert run(*server, "--certificate", str(file), "entity", "get", "weather", "EWR") == 2
    assert "--key" in capsys.readouterr().err


TEXT_KEY = b'{"schema":{"properties":{"faa":{"type":"string"}}},"mapping":{"entity":{"key":["/faa"]}}}'
NUMBER_KEY = TEXT_KEY.replace(b'"string"', b'"integer"')


@pytest.mark.parametrize(
    ("key", "contract", "sent"),
    [
        ("EWR", TEXT_KEY, b'"EWR"'),
        ("369", TEXT_KEY, b'"369"'),
        ("1E5", TEXT_KEY, b'"1E5"'),
        ('"369"', TEXT_KEY, b'"369"'),
        ('{"faa": "369"}', TEXT_KEY, b'{"faa":"369"}'),
        ("369", NUMBER_KEY, b"369"),
        ("[1", NUMBER_KEY, b'"[1"'),
    ],
)
def test_a_key_is_what_the_contract_says(
    server: list[str], services: FakeServices, key: str, contract: bytes, sent: bytes
) -> None:
    services.contracts.document = contract
    assert run(*server, "entity", "get", "weather", key) == 0
    assert services.entities.requests[0].entity.key == sent


def test_an_entity_by_its_identifier(
    server: list[str], services: FakeServices, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*server, "entity", "get", "weather", "--id", ENTITY_ID) == 0
    assert services.entities.requests[0].entity.entity_id == ENTITY_ID
    assert run(*server, "entity", "get", "weather", "--id", "EWR") == 2
    assert "UUID" in capsys.readouterr().err


def test_history_ends_at_its_limit(
    server: list[str], services: FakeServices, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*server, "entity", "history", "weather", "EWR", "--limit", "3", "--json") == 0
    assert [entry["seq"] for entry in answer(capsys)] == [5, 4, 3]
    assert len(services.entities.requests) == 2
    assert run(*server, "entity", "history", "weather", "EWR") == 0
    assert "what changed" in capsys.readouterr().out


def test_diff(server: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*server, "entity", "diff", "weather", "EWR", "--from", "0", "--json") == 0
    shown = answer(capsys)
    assert shown["before"] is None
    assert shown["changes"] == [["a", "/temp", 1]]
    assert run(*server, "entity", "diff", "weather", "EWR", "--from", "0") == 0
    assert "/temp" in capsys.readouterr().out


def test_watch_shows_each_change_once(server: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*server, "entity", "watch", "weather", "--after", "2", "--until-now", "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [3, 5, 7, 9]
    assert run(*server, "entity", "watch", "--until-now") == 0
    assert "weather" in capsys.readouterr().out


def test_a_refusal_names_reason_and_fix(server: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*server, "entity", "get", "unknown", "EWR") == 2
    shown = capsys.readouterr().err
    assert "ENTITY_UNKNOWN" in shown
    assert "check the key" in shown


@pytest.mark.parametrize("as_json", [True, False])
def test_a_refused_contract_says_what_is_wrong_and_where(
    server: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    document = tmp_path / "weather.json"
    document.write_text("{}")
    assert run(*server, "contract", "put", str(document), *(["--json"] if as_json else [])) == 2
    shown = capsys.readouterr().err
    if as_json:
        violations = json.loads(shown)["error"]["violations"]
        assert violations == [{"pointer": "/mapping", "description": "is required"}]
    else:
        assert "at /mapping: is required" in shown


def test_contracts_are_published_listed_and_shown(
    server: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "weather.json"
    document.write_text('{"datasetId":"weather"}')
    assert run(*server, "contract", "put", str(document), "--json") == 0
    assert answer(capsys)[0]["created"] is True
    assert run(*server, "contract", "put", str(document)) == 0
    assert "published" in capsys.readouterr().out
    assert run(*server, "contract", "list", "--json") == 0
    assert [contract["version"] for contract in answer(capsys)] == ["1.1.0", "1.0.0"]
    assert run(*server, "contract", "get", "weather", "--json") == 0
    assert answer(capsys)["document"] == {"schema": {}}
    assert run(*server, "contract", "put", str(tmp_path / "absent.json")) == 2
    assert "FILE_UNREADABLE" in capsys.readouterr().err


@pytest.mark.parametrize("against", ["--dataset", "--document"])
def test_validate_ends_with_1_for_findings(
    server: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], against: str
) -> None:
    records = tmp_path / "a.ndjson"
    records.write_text("{}\n{}\n")
    document = tmp_path / "contract.json"
    document.write_text('{"schema":{}}')
    chosen = "weather" if against == "--dataset" else str(document)
    assert run(*server, "contract", "validate", str(records), against, chosen, "--json") == 1
    shown = answer(capsys)
    assert (shown["valid"], shown["invalid"], shown["unreadable"]) == (1, 1, 0)
    assert shown["broken_rules"][0]["pointer"] == "/tailnum"
    assert run(*server, "contract", "validate", str(records), against, chosen) == 1
    assert "fill it" in capsys.readouterr().out


def test_validate_asks_for_no_more_records_at_once_than_the_gateway_checks(
    server: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = tmp_path / "a.ndjson"
    records.write_text("{}\n" * (MAX_RECORDS + 1))
    assert run(*server, "contract", "validate", str(records), "--dataset", "weather", "--json") == 1
    shown = answer(capsys)
    # The fake finds one record of each request invalid.
    assert (shown["valid"], shown["invalid"]) == (MAX_RECORDS - 1, 2)


def test_validate_needs_to_know_against_what(server: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*server, "contract", "validate", "a.ndjson") == 2
    assert "--document" in capsys.readouterr().err


def test_quarantine_is_listed_and_shown(
    server: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*server, "quarantine", "list", "flights", "--json") == 0
    listed = answer(capsys)
    assert listed["total_records"] == 2512
    assert listed["entries"][0]["quarantine_id"] == QUARANTINE_ID
    monkeypatch.setenv("COLUMNS", "80")
    assert run(*server, "quarantine", "list", "flights") == 0
    assert QUARANTINE_ID in capsys.readouterr().out, "whole, to be handed to the next verb"
    assert run(*server, "quarantine", "show", QUARANTINE_ID, "--records", "--json") == 0
    shown = answer(capsys)
    assert shown["broken_rules"][0]["record_indexes"] == [0, 4]
    assert shown["records_held"] == [{"index": 4, "document": "{}"}]
    assert run(*server, "quarantine", "show", QUARANTINE_ID) == 0
    assert "fill it" in capsys.readouterr().out
