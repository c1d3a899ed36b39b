"""Roles and permissions: every permission of the wire is granted by a role, and nothing else is."""

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from intelgraph.errors import PermissionDenied
from intelgraph.gateway.approval_service import APPROVE_AS_MACHINE
from intelgraph.gateway.identity import Identity
from intelgraph.gateway.methods import (
    MethodRule,
    MethodWithoutPermissionError,
    foreign_rules,
    rules_of,
    wire_rules,
)
from intelgraph.gateway.permissions import Permissions, Resource
from intelgraph.gateway.v1 import entity_pb2, ingest_pb2
from intelgraph.policy.platform import across_tenants, granted_by, roles
from tests.gateway.served import make_tenant
from tests.parts.policy import make_permissions

PERMISSIONS = sorted({rule.permission for rule in wire_rules().values() if rule.permission})


def identity(*roles: str, platform: bool = False, tenant: str = "acme") -> Identity:
    return Identity(make_tenant(tenant), "ada", frozenset(roles), float("inf"), "jwt", platform)


@pytest.fixture
def permissions() -> Permissions:
    return make_permissions()


def test_every_permission_of_the_wire_is_granted_by_a_role() -> None:
    foreign = {rule.permission for rule in foreign_rules(beyond_loopback=True).values() if rule.permission}
    assert set(granted_by()) == set(PERMISSIONS) | foreign | {"metrics.read", APPROVE_AS_MACHINE}


@pytest.mark.parametrize("permission", PERMISSIONS)
async def test_a_role_grants_its_permissions_and_no_others(permissions: Permissions, permission: str) -> None:
    for role in (*roles(), "made-up"):
        caller = identity(role, platform=True)
        if role in granted_by()[permission]:
            await permissions.require(caller, permission)
        else:
            with pytest.raises(PermissionDenied, match="PERMISSION_DENIED"):
                await permissions.require(caller, permission)


async def test_nobody_without_roles_may_do_anything(permissions: Permissions) -> None:
    for permission in (*PERMISSIONS, "", "anything"):
        with pytest.raises(PermissionDenied):
            await permissions.require(identity(platform=True), permission)


@pytest.mark.parametrize("permission", sorted(across_tenants()))
async def test_what_reaches_across_tenants_is_for_the_platform_tenant(
    permissions: Permissions, permission: str
) -> None:
    with pytest.raises(PermissionDenied, match="PLATFORM_TENANT_ONLY"):
        await permissions.require(identity(*roles()), permission)
    await permissions.require(identity(*roles(), platform=True), permission)


async def test_own_tenant(permissions: Permissions) -> None:
    caller = identity("analyst")
    await permissions.require(caller, "entity.read", Resource(tenant="acme"))
    for name in ("other", "ACME", "acme "):
        with pytest.raises(PermissionDenied, match="TENANT_MISMATCH"):
            await permissions.require(caller, "entity.read", Resource(tenant=name))


def test_method_without_permission_stops_the_gateway() -> None:
    file = descriptor_pb2.FileDescriptorProto(name="bare.proto", package="bare", syntax="proto3")
    file.message_type.add(name="Empty")
    service = file.service.add(name="BareService")
    service.method.add(name="Call", input_type=".bare.Empty", output_type=".bare.Empty")
    pool = descriptor_pool.DescriptorPool()
    with pytest.raises(MethodWithoutPermissionError, match=r"/bare\.BareService/Call"):
        list(rules_of(pool.AddSerializedFile(file.SerializeToString())))


def test_rules_find_every_field_that_names_a_tenant_or_a_dataset() -> None:
    rules = wire_rules()
    stream = rules["/intelgraph.gateway.v1.IngestService/Stream"]
    opening = ingest_pb2.StreamRequest(open=ingest_pb2.OpenStream(tenant="other"))
    assert list(stream.named(opening)) == [Resource("other")]
    opening.open.dataset = "flights"
    assert list(stream.named(opening)) == [Resource("other", "flights")]
    get = rules["/intelgraph.gateway.v1.EntityService/Get"]
    request = entity_pb2.GetRequest(entity=entity_pb2.EntityRef(tenant="other"))
    assert list(get.named(request)) == [Resource("other")]
    assert list(get.named(entity_pb2.GetRequest())) == []


def test_health_is_open_and_reflection_only_on_loopback() -> None:
    for beyond_loopback in (False, True):
        rules = foreign_rules(beyond_loopback=beyond_loopback)
        assert rules["/grpc.health.v1.Health/Check"] == MethodRule(
            "/grpc.health.v1.Health/Check", None, anonymous=True
        )
        reflection = rules["/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"]
        assert reflection.anonymous is not beyond_loopback
