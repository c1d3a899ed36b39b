"""Versions that lift a hold or keep for less long, and two people who agree to one."""

import json
from typing import Any
from uuid import UUID

import pytest

from intelgraph.approvals.approval import Caller
from intelgraph.approvals.request import Wanted
from intelgraph.contracts.publishing import APPROVAL_KIND
from intelgraph.errors import FailedPrecondition
from intelgraph.provenance.actor import Actor
from intelgraph.tenants.registry import Tenant
from tests.temporal.world import World, contract

OLGA = Caller(Actor("olga", "jwt"), frozenset({"operator"}))
BOB = Caller(Actor("bob", "jwt"), frozenset({"security-officer"}))


def of_class(tenant: Tenant, retention: str, version: str, dataset: str = "stations") -> bytes:
    """A version of a contract that keeps for so long."""
    return contract(tenant.name, dataset, version).replace(b"short-30d", retention.encode())


async def document_of(world: World, tenant: Tenant, version: bytes) -> dict[str, Any]:
    """The document of the approval that publishing takes, as the refusal says it."""
    with pytest.raises(FailedPrecondition) as caught:
        await world.publisher.publish(tenant, version, by=OLGA.actor)
    assert caught.value.reason == "APPROVAL_MISSING"
    assert caught.value.metadata["kind"] == APPROVAL_KIND
    assert f"--tenant {tenant.name} approvals request {APPROVAL_KIND}" in caught.value.fix
    document: dict[str, Any] = json.loads(caught.value.metadata["document"])
    return document


async def approved(world: World, tenant: Tenant, document: dict[str, Any]) -> UUID:
    """An approval, which Olga has asked for and Bob has given."""
    wanted = Wanted(kind=APPROVAL_KIND, document=json.dumps(document).encode(), reason="the case is closed")
    asked = await world.approvals.request(tenant, wanted, OLGA)
    await world.approvals.approve(tenant, asked.approval_id, BOB, digest=asked.digest)
    return asked.approval_id
