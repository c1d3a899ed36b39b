"""The service of flags: a tenant sets its own, the platform tenant a share, and everybody sees why a value holds."""

import json
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from intelgraph.errors import FailedPrecondition, InvalidArgument, PermissionDenied
from intelgraph.flags.snapshot import place
from intelgraph.flags.table import Flag
from intelgraph.gateway.flag_service import FlagService
from intelgraph.gateway.identity import Identity, current_identity
from intelgraph.gateway.v1 import flag_pb2
from intelgraph.policy.platform import granted_by
from intelgraph.tenants.registry import Tenant, TenantRegistry
from tests.flags.world import World

CONTEXT: Any = None  # the handlers do not look at it


@pytest.fixture
def service(world: World) -> FlagService:
    return FlagService(world.here, TenantRegistry(world.database, world.parts.ledger))


def call_as(tenant: Tenant, *, platform: bool = False) -> None:
    current_identity.set(
        Identity(tenant, "olga", frozenset({"security-officer"}), float("inf"), "jwt", platform)
    )


async def _set(service: FlagService, **fields: Any) -> flag_pb2.SetFlagResponse:
    return await service.SetFlag(flag_pb2.SetFlagRequest(**fields), CONTEXT)


async def _approval_of(service: FlagService, world: World, **fields: Any) -> UUID:
    with pytest.raises(FailedPrecondition) as caught:
        await _set(service, **fields)
    assert caught.value.reason == "APPROVAL_MISSING"
    metadata = caught.value.metadata
    return await world.approved(json.loads(metadata["document"]), platform=metadata["platform"] == "true")


async def test_a_tenant_weakens_and_strengthens_its_own(service: FlagService, world: World) -> None:
    call_as(world.tenant)
    until_us = (time.time_ns() // 1_000_000_000 + 3600) * 1_000_000
    change = {"flag": "contracts", "value": "warn", "until_us": until_us}
    approval_id = await _approval_of(service, world, **change)
    done = await _set(service, **change, approval_id=str(approval_id))
    assert done.changed
    value = done.value
    assert (value.tenant, value.flag, value.value) == ("acme", "contracts", "warn")
    assert (value.reason, value.until_us) == (flag_pb2.FLAG_REASON_TENANT, until_us)
    assert (value.changed_by, value.approval_id) == ("olga", str(approval_id))
    assert abs(datetime.now(UTC).timestamp() - value.changed_us / 1e6) < 60
    back = await _set(service, flag="contracts", value="default")
    assert (back.value.value, back.value.reason, back.changed) == (
        "enforce",
        flag_pb2.FLAG_REASON_DEFAULT,
        True,
    )
    assert not (await _set(service, flag="contracts", value="default")).changed


async def test_what_reaches_across_tenants_is_the_platform_tenants(
    service: FlagService, world: World
) -> None:
    call_as(world.tenant)
    for refused in (
        _set(service, flag="temporal", value="off", share=10),
        _set(service, flag="temporal", value="on", share=100),
        service.ListFlags(flag_pb2.ListFlagsRequest(all_tenants=True), CONTEXT),
    ):
        with pytest.raises(PermissionDenied) as caught:
            await refused
        assert caught.value.reason == "PLATFORM_TENANT_ONLY"
    call_as(world.platform, platform=True)
    approval_id = await _approval_of(service, world, flag="temporal", value="off", share=50)
    done = await _set(service, flag="temporal", value="off", share=50, approval_id=str(approval_id))
    assert (done.flag.share, done.flag.safe_value, done.flag.weakened_value) == (50, "on", "off")
    values: list[flag_pb2.FlagValue] = []
    token = ""
    while True:
        request = flag_pb2.ListFlagsRequest(all_tenants=True, flag="temporal", page_size=2, page_token=token)
        page = await service.ListFlags(request, CONTEXT)
        values += page.values
        token = page.next_page_token
        if not token:
            break
    assert [value.tenant for value in values] == ["acme", "local", "other"]
    for value in values:
        tenant = await TenantRegistry(world.database, world.parts.ledger).get(value.tenant)
        inside = place(Flag.TEMPORAL, tenant.tenant_id) < 50
        assert (value.value == "off") == inside
        assert value.reason == (flag_pb2.FLAG_REASON_SHARE if inside else flag_pb2.FLAG_REASON_DEFAULT)


async def test_a_list_says_what_each_flag_is(service: FlagService, world: World) -> None:
    call_as(world.tenant)
    listed = await service.ListFlags(flag_pb2.ListFlagsRequest(), CONTEXT)
    assert [(value.flag, value.value) for value in listed.values] == [
        ("cmk", "enforce"),
        ("contracts", "enforce"),
        ("temporal", "on"),
        ("upgrade", "on"),
    ]
    assert [(flag.flag, flag.acts) for flag in listed.flags] == [
        ("cmk", False),
        ("contracts", True),
        ("temporal", True),
        ("upgrade", False),
    ]
    assert all(flag.effect for flag in listed.flags)


async def test_what_makes_no_sense_is_refused_by_name(service: FlagService, world: World) -> None:
    call_as(world.platform, platform=True)
    for fields, reason in (
        ({"flag": "colour", "value": "blue"}, "FLAG_UNKNOWN"),
        ({"flag": "cmk", "value": "warn"}, "FLAG_VALUE_UNKNOWN"),
        ({"flag": "cmk", "value": "fallback", "share": 101}, "FLAG_SHARE_INVALID"),
        ({"flag": "cmk", "value": "fallback", "approval_id": "x"}, "APPROVAL_ID_INVALID"),
        ({"flag": "cmk", "value": "fallback", "until_us": 1}, "FLAG_UNTIL_PAST"),
        ({"flag": "cmk", "value": "fallback", "until_us": 2**62}, "FLAG_UNTIL_PAST"),
        ({"flag": "cmk", "value": "enforce", "until_us": 2**50}, "FLAG_UNTIL_MISPLACED"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            await _set(service, **fields)
        assert caught.value.reason == reason


def test_roles_hold_what_was_decided() -> None:
    holders = {permission: granted_by()[permission] for permission in ("flag.read", "flag.write")}
    assert holders == {
        "flag.read": {"security-officer", "operator", "auditor"},
        "flag.write": {"security-officer", "operator"},
    }
