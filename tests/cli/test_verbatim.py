"""Notes, keys and proofs are printed as they are, however narrow the terminal: auditors copy them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from anyio.from_thread import start_blocking_portal

from intelgraph.cli.app import main
from intelgraph.gateway.v1 import ledger_pb2, ledger_pb2_grpc
from tests.client.fake_gateway import serving

ORIGIN = "intelgraph-gateway/7490b7ed-4e2d-4d6c-9d14-0f5c2a6b9f10"
NOTE = f"{ORIGIN}\n36500\n{'A' * 43}=\n\n— {ORIGIN} {'S' * 92}\n— witness.example.org {'W' * 104}\n"
VERIFIER_KEY = f"{ORIGIN}+1a2b3c4d+{'K' * 44}"
HASHES = [bytes([number]) * 32 for number in range(4)]
LEAF = f'{{"header":"{"a" * 64}","payload":"{"b" * 64}"}}'


def _not_asked_for() -> NoReturn:
    """The typed base class wants every method of the service; no command below calls this one."""
    raise AssertionError("a command asked for what it does not show")


class FakeLedger(ledger_pb2_grpc.LedgerServiceServicer):
    """A log of one checkpoint."""

    async def GetCheckpoint(  # noqa: N802 - the wire's name
        self, request: ledger_pb2.GetCheckpointRequest, context: Any
    ) -> ledger_pb2.GetCheckpointResponse:
        return ledger_pb2.GetCheckpointResponse(checkpoint=NOTE.encode(), verifier_keys=[VERIFIER_KEY])

    async def GetInclusionProof(  # noqa: N802 - the wire's name
        self, request: ledger_pb2.GetInclusionProofRequest, context: Any
    ) -> ledger_pb2.GetInclusionProofResponse:
        return ledger_pb2.GetInclusionProofResponse(hashes=HASHES, size=36_500, leaf_hash=bytes(32))

    async def AddCosignature(  # noqa: N802 - the wire's name
        self, request: ledger_pb2.AddCosignatureRequest, context: Any
    ) -> ledger_pb2.AddCosignatureResponse:
        return ledger_pb2.AddCosignatureResponse(checkpoint=NOTE.encode())

    async def GetEntry(  # noqa: N802 - the wire's name
        self, request: ledger_pb2.GetEntryRequest, context: Any
    ) -> ledger_pb2.GetEntryResponse:
        entry = ledger_pb2.LedgerEntry(
            index=7, state=ledger_pb2.LEDGER_ENTRY_STATE_WHOLE, leaf=LEAF.encode(), payload=b"{}"
        )
        return ledger_pb2.GetEntryResponse(entry=entry)

    async def ListEntries(  # noqa: N802 - the wire's name
        self, request: ledger_pb2.ListEntriesRequest, context: Any
    ) -> ledger_pb2.ListEntriesResponse:
        _not_asked_for()

    def TailEntries(  # noqa: N802 - the wire's name
        self, request: ledger_pb2.TailEntriesRequest, context: Any
    ) -> AsyncIterator[ledger_pb2.TailEntriesResponse]:
        _not_asked_for()

    async def GetConsistencyProof(  # noqa: N802 - the wire's name
        self, request: ledger_pb2.GetConsistencyProofRequest, context: Any
    ) -> ledger_pb2.GetConsistencyProofResponse:
        _not_asked_for()

    async def EraseEntry(  # noqa: N802 - the wire's name
        self, request: ledger_pb2.EraseEntryRequest, context: Any
    ) -> ledger_pb2.EraseEntryResponse:
        _not_asked_for()


@pytest.fixture(params=[80, 30])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    monkeypatch.setenv("COLUMNS", str(request.param))
    servicer = (ledger_pb2_grpc.add_LedgerServiceServicer_to_server, FakeLedger())
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(servicer)) as address,
    ):
        yield ["--server", address, "--token", "t"]


def lines_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert not ended.value.code
    return capsys.readouterr().out.splitlines()


def test_a_checkpoint_and_its_key(server: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    shown = lines_of(capsys, *server, "ledger", "checkpoint")
    assert shown[: len(NOTE.splitlines())] == NOTE.splitlines()
    assert f"verified by {VERIFIER_KEY}" in shown
    assert f"36,500 entries, root {bytes(32).hex()}" in shown


def test_a_proof(server: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    shown = lines_of(capsys, *server, "ledger", "proof", "7")
    assert [line.strip() for line in shown[-4:]] == [each.hex() for each in HASHES]


def test_a_note_with_a_witness(server: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert lines_of(capsys, *server, "ledger", "cosign", "36500", "— w") == NOTE.splitlines()


def test_a_leaf(server: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert LEAF in [line.strip() for line in lines_of(capsys, *server, "ledger", "show", "7")]


def test_the_public_half_of_an_approvers_key(
    server: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = lines_of(
        capsys, *server, "approvals", "key", "generate", str(tmp_path / "k.pem"), "--no-passphrase"
    )
    assert (shown[0], shown[-1]) == ("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----")
    assert len(shown) == 3
