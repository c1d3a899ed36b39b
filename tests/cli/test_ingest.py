"""`intelgraph ingest` against a gateway that speaks the wire."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from anyio.from_thread import start_blocking_portal

from intelgraph.cli.app import main
from intelgraph.gateway.v1 import (
    contract_pb2,
    contract_pb2_grpc,
    ingest_pb2,
    quarantine_pb2,
    quarantine_pb2_grpc,
)
from tests.client.fake_gateway import FakeGateway, Reaction, ingest, serving
from tests.client.fake_services import FakeContracts, FakeQuarantine

ENTRY = str(UUID(int=1))
SCHEMA = b'{"schema":{"properties":{"n":{"type":["integer","null"]}}}}'


class QuarantiningGateway(FakeGateway):
    """Quarantines every batch's records that have no `n`; where contracts only `warn`, it stores them."""

    warn = False

    def acknowledgement(self, batch: ingest_pb2.Batch, size: int) -> ingest_pb2.StreamResponse:
        response = super().acknowledgement(batch, size)
        broken = sum(b'"n":null' in record.upsert for record in batch.records)
        if self.warn:
            response.ack.warned = broken
            response.ack.stored_id = ENTRY if broken else ""
            return response
        response.ack.accepted -= broken
        response.ack.quarantined = broken
        response.ack.quarantine_id = ENTRY if broken else ""
        return response


class Contracts(FakeContracts):
    """One contract, with a schema."""

    async def GetContract(  # noqa: N802 - the wire's name
        self, request: contract_pb2.GetContractRequest, context: Any
    ) -> contract_pb2.GetContractResponse:
        return contract_pb2.GetContractResponse(contract=contract_pb2.Contract(dataset="d", document=SCHEMA))


class Quarantine(FakeQuarantine):
    """One entry, with a report, made by the first batch of stream `s`."""

    async def GetQuarantine(  # noqa: N802 - the wire's name
        self, request: quarantine_pb2.GetQuarantineRequest, context: Any
    ) -> quarantine_pb2.GetQuarantineResponse:
        violation = contract_pb2.Violation(
            rule="type", instance_pointer="/n", count=1, found="null", fix="send an integer"
        )
        return quarantine_pb2.GetQuarantineResponse(
            entry=quarantine_pb2.QuarantineEntry(
                quarantine_id=ENTRY,
                state=quarantine_pb2.QUARANTINE_STATE_QUARANTINED,
                stream_id="s",
                sequence=1,
                records=1,
            ),
            report=contract_pb2.ViolationReport(violations=[violation]),
        )


@pytest.fixture
def gateway() -> QuarantiningGateway:
    return QuarantiningGateway()


@pytest.fixture
def address(gateway: FakeGateway) -> Iterator[str]:
    servicers = (
        ingest(gateway),
        (contract_pb2_grpc.add_ContractServiceServicer_to_server, Contracts()),
        (quarantine_pb2_grpc.add_QuarantineServiceServicer_to_server, Quarantine()),
    )
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(*servicers)) as serving_at,
    ):
        yield serving_at


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["--token", "t", *arguments])
    return int(ended.value.code or 0)


def test_a_csv_file_arrives_typed(
    address: str, gateway: FakeGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("n,s\n1,x\n2,NA\n")
    assert run("--server", address, "ingest", "d", str(file), "--stream-id", "s") == 0
    assert gateway.streams["s"].documents == [b'{"n":1,"s":"x"}', b'{"n":2,"s":null}']
    assert gateway.openings[0].producer.startswith("cli@")
    assert gateway.tokens == ["t"]
    assert "accepted" in capsys.readouterr().out


def test_the_summary_says_what_was_quarantined_and_why(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("n\n1\nNA\n")
    assert run("--server", address, "ingest", "d", str(file), "--stream-id", "s") == 1
    shown = capsys.readouterr().out
    assert "send an integer" in shown
    assert "quarantine show" in shown


def test_json_is_one_document(address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.csv"
    file.write_text("n\n1\nNA\n1,2\n")
    assert run("--server", address, "ingest", "d", str(file), "--stream-id", "s", "--json") == 1
    summary = json.loads(capsys.readouterr().out)
    assert (summary["sent"], summary["accepted"], summary["quarantined"]) == (2, 1, 1)
    assert summary["unreadable"] == 1
    (problem,) = summary["unreadable_lines"]
    assert (problem["file"], problem["count"], problem["first_lines"]) == ("a.csv", 1, [4])
    assert (summary["waited_already"], summary["waited_in"]) == (0, [])
    assert summary["quarantine_ids"] == [ENTRY]
    (rule,) = summary["broken_rules"]
    assert rule == {"rule": "type", "pointer": "/n", "count": 1, "found": "null", "fix": "send an integer"}


def test_what_was_stored_with_a_warning_is_told_and_is_no_failure(
    address: str, gateway: QuarantiningGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.warn = True
    file = tmp_path / "a.csv"
    file.write_text("n\n1\nNA\n")
    assert run("--server", address, "ingest", "d", str(file), "--stream-id", "s", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["sent"], summary["accepted"], summary["warned"], summary["quarantined"]) == (2, 2, 1, 0)
    assert (summary["stored_ids"], summary["quarantine_ids"], summary["broken_rules"]) == ([ENTRY], [], [])
    (rule,) = summary["warned_rules"]
    assert (rule["rule"], rule["pointer"], rule["fix"]) == ("type", "/n", "send an integer")
    assert run("--server", address, "ingest", "d", str(file), "--stream-id", "t") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "1 of the accepted records break the contract" in shown
    assert "send an integer" in shown
    assert "quarantine list --stored d" in shown


def test_records_that_waited_already_are_counted_and_no_rule_is_guessed(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("n\nNA\nNA\n")
    asked = ("--server", address, "ingest", "d", str(file), "--stream-id", "another")
    assert run(*asked, "--json") == 1
    summary = json.loads(capsys.readouterr().out)
    assert (summary["quarantined"], summary["waited_already"]) == (2, 2)
    assert (summary["broken_rules"], summary["quarantine_ids"]) == ([], [])
    assert summary["waited_in"] == [ENTRY]
    assert run(*asked) == 1
    shown = capsys.readouterr().out
    assert "2 records waited in quarantine already" in shown
    assert ENTRY in shown
    assert "send an integer" not in shown


def test_a_batch_of_new_and_waiting_records_says_how_many_waited(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("n\nNA\nNA\nNA\n")
    assert run("--server", address, "ingest", "d", str(file), "--stream-id", "s", "--json") == 1
    summary = json.loads(capsys.readouterr().out)
    assert (summary["quarantined"], summary["waited_already"]) == (3, 2)
    assert summary["quarantine_ids"] == [ENTRY]


def test_several_files_share_one_stream(address: str, gateway: FakeGateway, tmp_path: Path) -> None:
    files = []
    for number in range(2):
        files.append(tmp_path / f"{number}.ndjson")
        files[-1].write_bytes(b'{"n":%d}\n' % number)
    assert run("--server", address, "ingest", "d", *map(str, files), "--stream-id", "s") == 0
    assert gateway.streams["s"].documents == [b'{"n":0}', b'{"n":1}']
    assert gateway.streams["s"].sequence == 2


def test_a_rejected_batch_is_a_finding(
    address: str, gateway: FakeGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.react = lambda sequence: Reaction.REJECT
    file = tmp_path / "a.ndjson"
    file.write_bytes(b'{"n":1}\n')
    assert run("--server", address, "ingest", "d", str(file)) == 1
    assert "BATCH_POISON" in capsys.readouterr().out


def test_a_gateway_that_is_not_there_ends_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.ndjson"
    file.touch()
    assert run("--server", "127.0.0.1:1", "ingest", "d", str(file)) == 3
    assert "GATEWAY_UNREACHABLE" in capsys.readouterr().err


def test_a_file_that_is_not_there_ends_with_2(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--server", address, "ingest", "d", "absent.csv") == 2
    assert "FILE_UNREADABLE" in capsys.readouterr().err


def test_a_record_that_no_batch_holds_does_not_end_the_load(
    address: str, gateway: FakeGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.max_batch_bytes = 1 << 15
    file = tmp_path / "a.ndjson"
    file.write_bytes(b'{"n":1}\n{"n":"%s"}\n{"n":3}\n' % (b"x" * (1 << 15)))
    assert run("--server", address, "ingest", "d", str(file), "--stream-id", "s") == 1
    assert gateway.streams["s"].documents == [b'{"n":1}', b'{"n":3}']
    shown = " ".join(capsys.readouterr().out.split())
    assert "a.ndjson: 1 line holds no record: a record beyond" in shown
    assert "(line 2)" in shown


def test_no_file_is_read_where_another_is_not_there(
    address: str, gateway: FakeGateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.ndjson"
    file.write_bytes(b'{"n":1}\n')
    assert run("--server", address, "ingest", "d", str(file), "absent.csv") == 2
    assert "absent.csv" in capsys.readouterr().err
    assert not gateway.openings


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """SIGINT interrupts also where the tests run in the background of a shell, which has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
@pytest.mark.parametrize("as_json", [True, False])
def test_an_interrupted_load_says_how_to_go_on(
    address: str,
    gateway: FakeGateway,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    as_json: bool,
) -> None:
    def interrupt(_sequence: int) -> Reaction:
        signal.raise_signal(signal.SIGINT)
        return Reaction.DROP_BEFORE_COMMIT

    gateway.react = interrupt
    file = tmp_path / "a.ndjson"
    file.write_bytes(b'{"n":1}\n')
    assert run("--server", address, "ingest", "d", str(file), *(["--json"] if as_json else [])) == 130
    told = capsys.readouterr().err
    stream_id = gateway.openings[0].stream_id
    assert stream_id in told
    if as_json:
        error = json.loads(told)["error"]
        assert error["metadata"] == {"dataset": "d", "stream_id": stream_id}
    else:
        assert "--stream-id" in told
