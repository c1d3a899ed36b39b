"""`intelgraph log verify` beside a gateway that runs, without one, and on tables that somebody altered."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from intelgraph.storage.cluster import DATABASE
from intelgraph.storage.embedded import EmbeddedServer
from tests.e2e.gateway import OBSERVATIONS, TENANT, GatewayProcess
from tests.e2e.test_ledger import client_of
from tests.parts.postgres import superuser

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDS = 300


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway of this module's own, which has taken some records in."""
    process = GatewayProcess(tmp_path_factory.mktemp("verified"))
    process.start()
    try:
        with process.blocking_client() as client:
            client.contracts.put(OBSERVATIONS)
            with client.stream("observations", "s", producer="test") as stream:
                stream.send(
                    {"origin": f"S{number % 7}", "time_hour": moment(number), "temp": number}
                    for number in range(RECORDS)
                )
        yield process
    finally:
        process.stop()


def moment(hour: int) -> str:
    return (datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=hour)).isoformat()


def verify(data_dir: Path, *options: str, of: str = "log") -> tuple[int, Any, str]:
    """The exit code, what was printed as JSON (None if it is none), and the errors."""
    done = subprocess.run(
        [sys.executable, "-m", "intelgraph", "--data-dir", str(data_dir), of, "verify", *options],
        cwd=data_dir.parent,
        env={name: value for name, value in os.environ.items() if not name.startswith("INTELGRAPH_")},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    printed = json.loads(done.stdout) if "--json" in options and done.stdout else done.stdout
    return done.returncode, printed, done.stderr


def test_a_log_is_checked_beside_its_gateway_without_it_and_once_it_was_altered(
    gateway: GatewayProcess,
) -> None:
    code, logs, errors = verify(gateway.data_dir, "--json")
    assert code == 0, errors
    (log,) = logs
    assert (log["tenant"], log["seq"], log["changes"], log["findings"]) == (TENANT, RECORDS, RECORDS, [])
    assert len(bytes.fromhex(log["root"])) == 32
    code, shown, errors = verify(gateway.data_dir)
    assert code == 0, errors
    assert log["root"] in "".join(re.findall(r"[0-9a-f]{8,}", shown)), "whole, to be compared with another"

    gateway.stop()
    try:
        code, again, errors = verify(gateway.data_dir, "--json", "--all")
        assert (code, again) == (0, logs), errors

        swap = """
        UPDATE entity_change_log AS log SET sealed = other.sealed FROM entity_change_log AS other
        WHERE (log.seq, other.seq) IN ((17, 24), (24, 17))
        """
        with EmbeddedServer(gateway.data_dir) as server:
            asyncio.run(superuser(server, swap, database=DATABASE))
            asyncio.run(superuser(server, "DELETE FROM entity_change_log WHERE seq = 100", database=DATABASE))
        code, (log,), _ = verify(gateway.data_dir, "--json")
        found = [(finding["reason"], finding["first_seq"]) for finding in log["findings"]]
        assert (code, log["root"]) == (1, None)
        assert found == [("CHANGE_ALTERED", 17), ("CHANGE_ALTERED", 24), ("CHANGE_MISSING", 100)]

        code, shown, _ = verify(gateway.data_dir)
        assert code == 1
        assert all(text in shown for text in (TENANT, "CHANGE_ALTERED", "CHANGE_MISSING", "17", "24", "100"))
        assert "3 findings" in shown
    finally:
        gateway.start()


def test_a_directory_without_a_gateway_is_left_as_it_is(tmp_path: Path) -> None:
    code, _, errors = verify(tmp_path / "nothing", "--json")
    assert code == 64
    assert json.loads(errors)["error"]["reason"] == "DATA_DIRECTORY_EMPTY"
    assert not (tmp_path / "nothing").exists()


def test_an_unknown_tenant_is_named(gateway: GatewayProcess) -> None:
    code, _, errors = verify(gateway.data_dir, "--json", "--tenant", "nobody")
    assert code == 2
    assert json.loads(errors)["error"]["reason"] == "TENANT_UNKNOWN"


def test_damaged_key_rows_are_findings_and_the_rest_is_checked(gateway: GatewayProcess) -> None:
    """Last, for it leaves them damaged: a data key of a tenant, the keys above those of another, and an entry."""
    with gateway.blocking_client() as client:
        client.tenants.create("keyless")
    with client_of(gateway, "keyless", "operator", "connector") as keyless:
        keyless.contracts.put(json.dumps(json.loads(OBSERVATIONS) | {"tenantId": "keyless"}).encode())
        with keyless.stream("observations", "s", producer="test") as stream:
            stream.send([{"origin": "S", "time_hour": moment(0), "temp": 1}])
    _, verdict, errors = verify(gateway.data_dir, "--json", of="ledger")
    assert verdict["findings"] == [], (verdict, errors)
    gateway.stop()
    damage = """
    UPDATE {} SET wrapped = set_byte(wrapped, 50, get_byte(wrapped, 50) # 1)
    WHERE tenant_id = (SELECT tenant_id FROM tenant WHERE name = '{}')
    """
    with EmbeddedServer(gateway.data_dir) as server:
        for statement in (
            damage.format("data_key", TENANT),
            damage.format("tenant_key", "keyless"),
            "ALTER TABLE ledger_entry DISABLE TRIGGER ALL",
            "UPDATE ledger_entry SET payload = payload || 'x' WHERE index = 3",
        ):
            asyncio.run(superuser(server, statement, database=DATABASE))
    code, verdict, errors = verify(gateway.data_dir, "--json", of="ledger")
    gateway.start()
    assert code == 1, errors
    assert ("ENTRY_ALTERED", 3) in {(each["reason"], each["index"]) for each in verdict["findings"]}
    logs = {log["tenant"]: log for log in verdict["logs"]}
    assert (logs[TENANT]["findings"][0]["reason"], logs[TENANT]["changes"]) == (
        "KEY_ROW_CORRUPT",
        RECORDS - 1,
    )
    assert [each["reason"] for each in logs["keyless"]["findings"]] == ["KEY_ROW_CORRUPT"]
