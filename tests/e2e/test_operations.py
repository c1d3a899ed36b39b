"""`intelgraph retention` and `intelgraph operations` on a gateway that serves, and the SDK beside them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from intelgraph import errors
from intelgraph.cli.app import main
from intelgraph.client import Client, OperationState
from intelgraph.gateway.local_identity import LocalIssuer
from intelgraph.storage.cluster import DATABASE
from intelgraph.storage.embedded import EmbeddedServer
from tests.e2e.gateway import OBSERVATIONS, GatewayProcess
from tests.parts.postgres import superuser

if TYPE_CHECKING:
    from pathlib import Path

RECORDS, DUE = 40, 30


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway of this module's own, most of whose changes are due."""
    process = GatewayProcess(tmp_path_factory.mktemp("retained"))
    process.start()
    try:
        with process.blocking_client() as client:
            client.contracts.put(OBSERVATIONS)
            with client.stream("observations", "s", producer="test") as stream:
                stream.send(
                    {
                        "origin": f"S{n % 7}",
                        "time_hour": f"2013-01-{1 + n // 24:02}T{n % 24:02}:00:00Z",
                        "temp": n,
                    }
                    for n in range(RECORDS)
                )
        age(process.data_dir, DUE)
        yield process
    finally:
        process.stop()


def age(data_dir: Path, until_seq: int) -> None:
    statement = (
        f"UPDATE entity_change_log SET recorded = recorded - interval '31 days' WHERE seq <= {until_seq}"  # noqa: S608
    )
    asyncio.run(superuser(EmbeddedServer(data_dir), statement, database=DATABASE))


def run(gateway: GatewayProcess, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["--server", gateway.address, "--data-dir", str(gateway.data_dir), *arguments])
    return int(ended.value.code or 0)


def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_run_from_what_would_go_to_what_went(
    gateway: GatewayProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(gateway, "retention", "run", "--dry-run", "--json") == 0
    planned = answer(capsys)
    (dataset,) = planned["result"]["datasets"]
    assert (planned["state"], dataset["dataset"], dataset["due"], dataset["removed"]) == (
        "done",
        "observations",
        DUE,
        0,
    )
    assert run(gateway, "retention", "run", "--dataset", "observations") == 0
    shown = capsys.readouterr().out
    assert "short-30d" in shown
    assert f"retention.run is done: {DUE}/{DUE}" in shown

    assert run(gateway, "operations", "list", "--json", "--kind", "retention.run", "--state", "done") == 0
    listed = answer(capsys)
    assert [each["result"]["datasets"][0]["removed"] for each in listed] == [DUE, 0]
    operation_id = listed[0]["operation_id"]
    assert run(gateway, "operations", "show", operation_id, "--json") == 0
    assert answer(capsys) == listed[0]
    assert run(gateway, "operations", "show", operation_id) == 0
    assert run(gateway, "operations", "list") == 0
    assert operation_id in capsys.readouterr().out
    assert run(gateway, "operations", "watch", operation_id) == 0
    assert "is done" in capsys.readouterr().out
    assert run(gateway, "operations", "cancel", operation_id, "--json") != 0
    assert "OPERATION_ENDED" in capsys.readouterr().err
    with gateway.blocking_client() as client:
        seqs = [entry.version.seq for entry in client.entities.changes(until_now=True)]
    assert seqs == list(range(DUE + 1, RECORDS + 1))


def test_a_dataset_that_there_is_not_is_refused(
    gateway: GatewayProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(gateway, "retention", "run", "--dataset", "nothing", "--json") == 2
    assert "DATASET_NOT_FOUND" in capsys.readouterr().err
    assert run(gateway, "operations", "show", str(uuid4()), "--json") != 0
    assert "OPERATION_NOT_FOUND" in capsys.readouterr().err
    assert run(gateway, "operations", "list", "--state", "made-up") == 2


def test_the_client_follows_an_operation(gateway: GatewayProcess) -> None:
    with gateway.blocking_client() as client:
        started = client.retention.run(dry_run=True, deadline_seconds=600)
        assert started.deadline_us > started.created_us
        *_, ended = client.operations.watch(started.operation_id)
        assert (ended.state, ended.created_by) == (OperationState.DONE, "test")
        assert ended.steps >= 2
        assert client.operations.get(started.operation_id) == ended
        assert next(client.operations.list(states=[OperationState.DONE])) == ended


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("auditor", {"read"}),
        ("security-officer", {"read", "cancel"}),
        ("operator", {"read", "cancel", "run"}),
        ("analyst", set()),
        ("connector", set()),
    ],
)
def test_roles(gateway: GatewayProcess, role: str, may: set[str]) -> None:
    with Client(gateway.address, token=gateway.token(role)) as client:
        calls: dict[str, Callable[[], object]] = {
            "read": lambda: list(client.operations.list()),
            "cancel": lambda: client.operations.cancel(uuid4()),
            "run": lambda: client.retention.run(["nothing"]),
        }
        for permission, call in calls.items():
            if permission in may:
                with suppress(errors.NotFound):
                    call()
            else:
                with pytest.raises(errors.PermissionDenied, match="PERMISSION_DENIED"):
                    call()


def test_tenants_never_meet(gateway: GatewayProcess) -> None:
    with gateway.blocking_client() as client:
        client.tenants.create("other")
        operation = client.retention.run(dry_run=True)
        issuer = LocalIssuer.open(gateway.data_dir)
        token = issuer.mint("other", ["operator"], subject="eve", audience="intelgraph")
        with Client(gateway.address, token=token) as other:
            assert list(other.operations.list()) == []
            for call in (other.operations.get, other.operations.cancel):
                with pytest.raises(errors.NotFound, match="OPERATION_NOT_FOUND"):
                    call(operation.operation_id)
            with pytest.raises(errors.NotFound, match="OPERATION_NOT_FOUND"):
                list(other.operations.watch(operation.operation_id))
        list(client.operations.watch(operation.operation_id))


def test_an_operation_outlives_its_gateway(gateway: GatewayProcess) -> None:
    with gateway.blocking_client() as client:
        operation = client.retention.run(dry_run=True)
        gateway.kill()
        gateway.start()
        *_, ended = client.operations.watch(operation.operation_id)
    assert ended.state is OperationState.DONE
