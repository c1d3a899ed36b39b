"""The ledger as its readers see it: over the wire, as files, and to other tenants."""

import hashlib
import hmac
import json
import time
from pathlib import Path

import httpx
import pytest

from intelgraph._core import leaf_hash, open_checkpoint, verify_consistency, verify_inclusion
from intelgraph.client import Client, LedgerEntry, LedgerEntryState
from intelgraph.errors import FailedPrecondition, InvalidArgument, NotFound, OutOfRange, PermissionDenied
from intelgraph.gateway.local_identity import LocalIssuer
from tests.e2e.gateway import GatewayProcess


def entry_of(client: Client, kind: str, subject: str) -> LedgerEntry:
    """The newest entry of a kind about a subject, once it has its index."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for entry in client.ledger.list(kinds=[kind]):
            if entry.subject == subject:
                return entry
        time.sleep(0.1)
    raise AssertionError(f"no entry {kind} about {subject}")


def newest(client: Client, kind: str) -> LedgerEntry:
    """The newest entry of a kind, once there is one."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for entry in client.ledger.list(kinds=[kind]):
            return entry
        time.sleep(0.1)
    raise AssertionError(f"no entry {kind}")


def client_of(gateway: GatewayProcess, tenant: str, *roles: str) -> Client:
    issuer = LocalIssuer.open(gateway.data_dir)
    return Client(
        gateway.address,
        token=lambda: issuer.mint(tenant, roles, subject="reader", audience="intelgraph"),
    )


def published(client: Client) -> tuple[int, bytes]:
    """Size and root of the last checkpoint."""
    checkpoint = client.ledger.checkpoint()
    _, size, root, _ = open_checkpoint(checkpoint.note, checkpoint.verifier_keys)
    return size, root


def test_an_act_is_an_entry_that_can_be_proven_by_hand(gateway: GatewayProcess) -> None:
    with gateway.blocking_client() as client:
        client.tenants.create("proven")
        entry = entry_of(client, "tenant.created", "tenant:proven")
        deadline = time.monotonic() + 20
        while published(client)[0] <= entry.index and time.monotonic() < deadline:
            time.sleep(0.05)
        size, root = published(client)
        proof = client.ledger.prove_inclusion(entry.index, size)
    assert (entry.actor_method, entry.tenant, entry.state) == ("jwt", "proven", LedgerEntryState.WHOLE)
    leaf = json.loads(entry.leaf)
    for part, salt, text in (
        ("header", entry.header_salt, entry.header),
        ("payload", entry.payload_salt, entry.payload),
    ):
        domain = f"intelgraph/ledger/{part}/v1".encode()
        message = bytes([len(domain)]) + domain + text
        assert hmac.new(salt, message, hashlib.sha256).hexdigest() == leaf[part]
    assert proof.leaf_hash == leaf_hash(entry.leaf)
    verify_inclusion(entry.index, size, proof.leaf_hash, proof.hashes, root)


def test_the_log_only_grows(gateway: GatewayProcess) -> None:
    with gateway.blocking_client() as client:
        client.tenants.create("before")
        entry_of(client, "tenant.created", "tenant:before")
        size, root = published(client)
        client.tenants.create("after")
        entry_of(client, "tenant.created", "tenant:after")
        deadline = time.monotonic() + 20
        while published(client)[0] == size and time.monotonic() < deadline:
            time.sleep(0.05)
        later, later_root = published(client)
        proof = client.ledger.prove_consistency(size, later)
        verify_consistency(size, later, root, later_root, proof.hashes)
        with pytest.raises(OutOfRange) as caught:
            client.ledger.prove_inclusion(10**9)
    assert caught.value.reason == "LEDGER_BEYOND_CHECKPOINT"


def test_a_tenant_sees_its_own_entries_and_the_proofs_of_all(gateway: GatewayProcess) -> None:
    with gateway.blocking_client() as client:
        client.tenants.create("mine")
        client.tenants.create("theirs")
        theirs = entry_of(client, "tenant.created", "tenant:theirs")
        assert {entry.tenant for entry in client.ledger.list(about_tenant="theirs")} == {"theirs"}
    with client_of(gateway, "mine", "auditor") as mine:
        assert {entry.tenant for entry in mine.ledger.list()} == {"mine"}
        with pytest.raises(NotFound):
            mine.ledger.get(theirs.index)
        with pytest.raises(PermissionDenied):
            list(mine.ledger.list(about_tenant="theirs"))
        assert mine.ledger.prove_inclusion(theirs.index).hashes
    with client_of(gateway, "mine", "connector") as connector:
        with pytest.raises(PermissionDenied):
            list(connector.ledger.list())
        assert connector.ledger.checkpoint().note
    with client_of(gateway, "mine", "security-officer") as officer, pytest.raises(PermissionDenied) as caught:
        officer.ledger.erase(theirs.index, "no")
    assert caught.value.reason == "PLATFORM_TENANT_ONLY"


def test_entries_are_found_by_kind_subject_and_time(gateway: GatewayProcess) -> None:
    with gateway.blocking_client() as client:
        client.tenants.create("found")
        created = entry_of(client, "tenant.created", "tenant:found")
        client.tenants.suspend("found")
        suspended = entry_of(client, "tenant.state_changed", "tenant:found")
        about = client.ledger.list(subject="tenant:found", about_tenant="found", page_size=1)
        assert [entry.index for entry in about] == [suspended.index, created.index]
        later = list(client.ledger.list(about_tenant="found", from_us=created.sequenced_us + 1))
        assert created.index not in {entry.index for entry in later}
        earlier = list(client.ledger.list(about_tenant="found", to_us=suspended.sequenced_us))
        assert suspended.index not in {entry.index for entry in earlier}
        assert created.index in {entry.index for entry in earlier}
        with pytest.raises(InvalidArgument) as caught:
            list(client.ledger.list(kinds=["tenant.imagined"]))
    assert caught.value.reason == "LEDGER_KIND_UNKNOWN"


def test_a_tail_shows_entries_as_they_come(gateway: GatewayProcess) -> None:
    with gateway.blocking_client() as client:
        size, _ = published(client)
        client.tenants.create("followed")
        for entry in client.ledger.tail(from_index=size, kinds=["tenant.created"]):
            if entry.subject == "tenant:followed":
                break


def test_what_was_erased_says_so_and_is_proven_on(gateway: GatewayProcess) -> None:
    with gateway.blocking_client() as client:
        entry = newest(client, "token.minted")
        with pytest.raises(FailedPrecondition) as refused:
            client.ledger.erase(entry.index, "its subject asked for it")
        document = refused.value.metadata["document"].encode()
        asked = client.approvals.request("ledger.erase", document, reason="a request", platform=True)
        with gateway.blocking_client("another") as other:
            other.approvals.approve(asked)
        erased = client.ledger.erase(entry.index, "its subject asked for it", approval=asked.approval_id)
        eraser = entry_of(client, "ledger.entry_erased", f"entry:{entry.index}")
        again = client.ledger.get(entry.index)
        with pytest.raises(FailedPrecondition):
            client.ledger.erase(entry.index, "once more")
        proof = client.ledger.prove_inclusion(entry.index)
    assert (erased.state, erased.header, erased.payload, erased.leaf) == (
        LedgerEntryState.ERASED,
        b"",
        b"",
        entry.leaf,
    )
    assert again.erased_by_index == eraser.index
    assert json.loads(eraser.payload)["reason"] == "its subject asked for it"
    assert proof.leaf_hash == leaf_hash(entry.leaf)


def test_the_files_over_http_are_those_on_disk(gateway: GatewayProcess) -> None:
    root: Path = gateway.data_dir / "ledger"
    # A file on its way has a name with a dot, and is gone a moment later.
    files = [path for path in (root / "tile").rglob("*") if path.is_file() and path.name[0] != "."]
    assert len(files) >= 2
    with httpx.Client(base_url=f"http://{gateway.http}/ledger/") as http:
        for path in files:
            answer = http.get(path.relative_to(root).as_posix())
            assert answer.content == path.read_bytes()
            assert "immutable" in answer.headers["cache-control"]
        note = http.get("checkpoint")
        assert b"intelgraph-gateway/" in note.content
        assert note.headers["cache-control"] == "no-cache"
        for outside in (
            "../identity/local-signing-key.pem",
            "%2e%2e/keys/keyring.key",
            "tile/0/9999",
            "",
            "forks",
        ):
            assert http.get(outside).status_code == 404
