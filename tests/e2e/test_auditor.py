"""An auditor with `intelgraph-verify` and a public key, beside a real gateway: what docs/verify.md has them do."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from intelgraph.cli.ledger_view import entry_as_json

if TYPE_CHECKING:
    from intelgraph.client import LedgerCheckpoint
    from tests.e2e.gateway import GatewayProcess
    from tests.parts.verify_tool import VerifyTool

CONTRACTS = Path(__file__).parents[2] / "contracts" / "nycflights13"


@pytest.fixture
def older(gateway: GatewayProcess) -> LedgerCheckpoint:
    """A checkpoint after which the log grew."""
    with gateway.blocking_client() as client:
        older = client.ledger.checkpoint()
        client.contracts.put((CONTRACTS / "airports.json").read_bytes())
        deadline = time.monotonic() + 30
        while size_of(client.ledger.checkpoint()) == size_of(older):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    return older


def size_of(checkpoint: LedgerCheckpoint) -> int:
    return int(checkpoint.note.splitlines()[1])


def test_an_auditor_needs_nothing_but_the_key(
    gateway: GatewayProcess, verify_tool: VerifyTool, older: LedgerCheckpoint, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("\n".join(older.verifier_keys))
    kept = tmp_path / "kept"
    kept.write_bytes(older.note)
    trust = ("--vkey-file", keys)

    log = gateway.data_dir / "ledger"
    status, report = verify_tool.report("log", log, "--live", "--since", kept, *trust)
    assert (status, report["findings"], report["since"]) == (0, [], size_of(older))
    status, report = verify_tool.report("checkpoint", log / "checkpoint", *trust)
    assert (status, report["signers"][0]["kind"]) == (0, "log")

    with gateway.blocking_client() as client:
        (*_, entry) = client.ledger.list(kinds=["contract.published"])
        entry = client.ledger.get(entry.index)
        shown = entry_as_json(entry, whole=True)
        (tmp_path / "proof").write_bytes(client.ledger.prove_inclusion(entry.index).file)
        (tmp_path / "grown").write_bytes(client.ledger.prove_consistency(size_of(older)).file)
    (tmp_path / "shown").write_text(json.dumps(shown))
    status, report = verify_tool.report(
        "inclusion", tmp_path / "proof", "--shown", tmp_path / "shown", *trust
    )
    assert (status, report["findings"], report["index"]) == (0, [], entry.index)
    (tmp_path / "shown").write_text(json.dumps(shown | {"payload": '{"dataset":"another"}'}))
    status, report = verify_tool.report(
        "inclusion", tmp_path / "proof", "--shown", tmp_path / "shown", *trust
    )
    assert (status, "ENTRY_ALTERED" in {each["reason"] for each in report["findings"]}) == (1, True)

    status, report = verify_tool.report("consistency", kept, tmp_path / "grown", *trust)
    assert (status, report["findings"], report["since"]) == (0, [], size_of(older))
