"""Approvals in the client's terms: what is asked on the wire, what is signed, and what is told."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from anyio.from_thread import start_blocking_portal

from intelgraph.approval_statement import decision_statement, key_statement
from intelgraph.client import ApprovalState, AsyncClient, Client, RetryPolicy
from intelgraph.errors import DataLoss
from tests.client.fake_gateway import serving
from tests.client.fake_services import APPROVAL_ID, FakeServices


class Pen:
    """Signs by keeping what it signed."""

    key_id = b"p" * 32

    def __init__(self) -> None:
        self.signed: list[bytes] = []

    def sign(self, statement: bytes) -> bytes:
        self.signed.append(statement)
        return b"s" * 64


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
async def address(services: FakeServices) -> AsyncIterator[str]:
    async with serving(*services.servicers()) as served:
        yield served


@pytest.fixture
async def client(address: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(address, retry=RetryPolicy(5.0)) as opened:
        yield opened


async def test_a_request_says_what_was_given(client: AsyncClient, services: FakeServices) -> None:
    asked = await client.approvals.request(
        "manual.act", b"{}", reason="old", quorum=2, expires_in_s=60, supersedes=UUID(APPROVAL_ID)
    )
    (request,) = services.approvals.requests
    assert (request.kind, request.document, request.reason) == ("manual.act", b"{}", "old")
    assert (request.quorum, request.expires_in_s, request.supersedes) == (2, 60, APPROVAL_ID)
    assert (asked.state, asked.missing) == (ApprovalState.REQUESTED, 1)
    assert asked.decisions[0].word == "approve"


async def test_a_document_that_is_not_its_digests_is_not_shown(
    client: AsyncClient, services: FakeServices
) -> None:
    services.approvals.document = b'{"steps":[],"summary":"something else"}'
    with pytest.raises(DataLoss, match="APPROVAL_DIGEST_DIFFERS"):
        await client.approvals.get(UUID(APPROVAL_ID))


async def test_one_approves_the_digest_that_one_has_seen(client: AsyncClient, services: FakeServices) -> None:
    seen = await client.approvals.get(UUID(APPROVAL_ID))
    assert (await client.approvals.approve(seen, reason="fine")).state is ApprovalState.APPROVED
    (request,) = services.approvals.requests
    assert (request.digest, request.reason) == (seen.digest, "fine")
    assert not request.HasField("signature")


@pytest.mark.parametrize("word", ["approve", "deny"])
async def test_what_is_signed_is_the_statement_of_what_was_seen(
    client: AsyncClient, services: FakeServices, word: str
) -> None:
    seen, pen = await client.approvals.get(UUID(APPROVAL_ID)), Pen()
    if word == "approve":
        await client.approvals.approve(seen, signer=pen)
    else:
        await client.approvals.deny(seen, reason="no", signer=pen)
    (request,) = services.approvals.requests
    assert (request.signature.key_id, request.signature.value) == (pen.key_id, b"s" * 64)
    assert abs(request.signature.at_us - time.time_ns() // 1_000) < 60_000_000
    assert pen.signed == [
        decision_statement(
            seen.statement_facts,
            decision="approve" if word == "approve" else "deny",
            approver="bob",
            at_us=request.signature.at_us,
        )
    ]
    stated = json.loads(pen.signed[0])
    assert (stated["intelgraph"], stated["decision"], stated["tenant"], stated["quorum"]) == (
        "approval-decision/v1",
        word,
        "acme",
        2,
    )


async def test_keys_are_proved_and_endorsed(client: AsyncClient, services: FakeServices) -> None:
    new, old = Pen(), Pen()
    await client.approvals.register_key(b"pem", new, endorser=old)
    (request,) = services.approvals.requests
    statement = key_statement(
        origin="log",
        tenant="acme",
        action="register",
        approver="bob",
        key_id=new.key_id,
        at_us=request.proof.at_us,
    )
    assert new.signed == old.signed == [statement]
    assert request.endorsement.at_us == request.proof.at_us
    assert (await client.approvals.revoke_key(b"k" * 32, reason="lost")).revoked_us == 9
    assert [key.approver async for key in client.approvals.list_keys()] == ["bob"]


async def test_a_watch_goes_on_where_the_connection_broke(
    client: AsyncClient, services: FakeServices
) -> None:
    watch = client.approvals.watch("manual.act")
    told = [await anext(watch) for _ in range(4)]
    assert [(news.approval is not None, news.awaits_caller) for news in told] == [
        (True, True),
        (True, True),
        (False, False),
        (True, False),
    ]
    assert [request.kind for request in services.approvals.requests] == ["manual.act"] * 2
    watch.close()


async def test_lists_fetch_page_after_page(client: AsyncClient, services: FakeServices) -> None:
    listed = [each async for each in client.approvals.list([ApprovalState.REQUESTED], "manual.act")]
    assert [each.approval_id for each in listed] == [UUID(APPROVAL_ID)] * 2
    assert [list(request.states) for request in services.approvals.requests] == [[1], [1]]
    assert (await client.approvals.withdraw(UUID(APPROVAL_ID))).state is ApprovalState.WITHDRAWN


def test_without_an_event_loop(services: FakeServices) -> None:
    pen = Pen()
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(*services.servicers())) as address,
        Client(address, retry=RetryPolicy(5.0)) as client,
    ):
        seen = client.approvals.get(UUID(APPROVAL_ID))
        assert client.approvals.approve(seen, signer=pen).state is ApprovalState.APPROVED
        assert client.approvals.deny(seen, reason="no").state is ApprovalState.DENIED
        assert client.approvals.withdraw(seen.approval_id).state is ApprovalState.WITHDRAWN
        assert len(list(client.approvals.list())) == 2
        assert client.approvals.request("manual.act", b"{}", reason="r").quorum == 2
        assert client.approvals.register_key(b"pem", pen).algorithm == "Ed25519"
        assert client.approvals.revoke_key(b"k" * 32, reason="lost", endorser=pen).approver == "bob"
        assert len(list(client.approvals.list_keys())) == 1
        watch = client.approvals.watch()
        assert next(watch).awaits_caller
        watch.close()
