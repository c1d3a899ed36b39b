"""Roles and permissions: every permission of the wire is granted by a role, and nothing else is."""

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from intelgraph.errors import PermissionDenied
from intelgraph.gateway.identity import Identity, require_own_tenant
from intelgraph.gateway.methods import (
    MethodRule,
    MethodWithoutPermissionError,
    foreign_rules,
    rules_of,
    wire_rules,
)
from intelgraph.gateway.permissions import ACROSS_TENANTS, ROLES, decide
from intelgraph.gateway.v1 import entity_pb2, ingest_pb2
from tests.gateway.served import make_tenant

PERMISSIONS = sorted({rule.permission for rule in wire_rules().values() if rule.permission})


def identity(*roles: str, platform: bool = False) -> Identity:
    return Identity(make_tenant("acme"), "ada", frozenset(roles), float("inf"), "jwt", platform)


def test_every_permission_of_the_wire_is_granted_by_a_role() -> None:
    granted = frozenset[str]().union(*ROLES.values())
    assert set(PERMISSIONS) <= granted
    foreign = {rule.permission for rule in foreign_rules(beyond_loopback=True).values() if rule.permission}
    assert granted == set(PERMISSIONS) | foreign | {"metrics.read"}


@pytest.mark.parametrize("permission", PERMISSIONS)
@pytest.mark.parametrize("role", [*ROLES, "made-up"])
def test_a_role_grants_its_permissions_and_no_others(role: str, permission: str) -> None:
    caller = identity(role, platform=True)
    if permission in ROLES.get(role, ()):
        decide(caller, permission)
    else:
        with pytest.raises(PermissionDenied, match="PERMISSION_DENIED"):
            decide(caller, permission)


def test_nobody_without_roles_may_do_anything() -> None:
    for permission in (*PERMISSIONS, "", "anything"):
        with pytest.raises(PermissionDenied):
            decide(identity(platform=True), permission)


@pytest.mark.parametrize("permission", sorted(ACROSS_TENANTS))
def test_what_reaches_across_tenants_is_for_the_platform_tenant(permission: str) -> None:
    with pytest.raises(PermissionDenied, match="PLATFORM_TENANT_ONLY"):
        decide(identity("operator"), permission)
    decide(identity("operator", platform=True), permission)


def test_method_without_permission_stops_the_gateway() -> None:
    file = descriptor_pb2.FileDescriptorProto(name="bare.proto", package="bare", syntax="proto3")
    file.message_type.add(name="Empty")
    service = file.service.add(name="BareService")
    service.method.add(name="Call", input_type=".bare.Empty", output_type=".bare.Empty")
    pool = descriptor_pool.DescriptorPool()
    with pytest.raises(MethodWithoutPermissionError, match=r"/bare\.BareService/Call"):
        list(rules_of(pool.AddSerializedFile(file.SerializeToString())))


def test_rules_name_every_field_that_names_a_tenant() -> None:
    rules = wire_rules()
    stream = rules["/intelgraph.gateway.v1.IngestService/Stream"]
    opening = ingest_pb2.StreamRequest(open=ingest_pb2.OpenStream(tenant="other"))
    assert list(stream.named_tenants(opening)) == ["other"]
    get = rules["/intelgraph.gateway.v1.EntityService/Get"]
    request = entity_pb2.GetRequest(entity=entity_pb2.EntityRef(tenant="other"))
    assert list(get.named_tenants(request)) == ["other"]
    assert list(get.named_tenants(entity_pb2.GetRequest())) == [""]


def test_own_tenant() -> None:
    caller = identity()
    require_own_tenant(caller, "")
    require_own_tenant(caller, "acme")
    for name in ("other", "ACME", "acme "):
        with pytest.raises(PermissionDenied, match="TENANT_MISMATCH"):
            require_own_tenant(caller, name)


def test_health_is_open_and_reflection_only_on_loopback() -> None:
    for beyond_loopback in (False, True):
        rules = foreign_rules(beyond_loopback=beyond_loopback)
        assert rules["/grpc.health.v1.Health/Check"] == MethodRule(
            "/grpc.health.v1.Health/Check", None, anonymous=True
        )
        reflection = rules["/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"]
        assert reflection.anonymous is not beyond_loopback
