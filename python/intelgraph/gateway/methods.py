"""What each RPC method demands of its caller, read once from the options of the wire.

A method without the `permission` option stops the gateway before it listens; `make generate` refuses it
earlier.
"""

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from google.protobuf.message import Message
from grpc_channelz.v1 import channelz_pb2

from intelgraph.gateway import v1
from intelgraph.gateway.permissions import Resource
from intelgraph.gateway.v1 import permission_pb2

_TENANT_FIELD: Final = "tenant"
_DATASET_FIELD: Final = "dataset"


class MethodWithoutPermissionError(Exception):
    """A method of the wire does not say which permission it needs."""


@dataclass(frozen=True, slots=True)
class MethodRule:
    """What one method demands; `path` is `/package.Service/Method`.

    Without `permission` any identity may call it, and where `anonymous` anyone. `tenant_fields` and `dataset_fields`
    are the paths of the fields by which a request may name its tenant, and datasets.
    """

    path: str
    permission: str | None
    anonymous: bool = False
    tenant_fields: tuple[tuple[str, ...], ...] = ()
    dataset_fields: tuple[tuple[str, ...], ...] = ()

    def named(self, request: Message) -> Iterator[Resource]:
        """What the request names: each of its tenants with each of its datasets."""
        tenants = _named(request, self.tenant_fields)
        datasets = _named(request, self.dataset_fields)
        if tenants or datasets:
            for tenant in tenants or (None,):
                for dataset in datasets or (None,):
                    yield Resource(tenant, dataset)


def rules_of(file: FileDescriptor) -> Iterator[MethodRule]:
    """The rules of the services that a file of the wire defines.

    Raises MethodWithoutPermissionError.
    """
    for service in file.services_by_name.values():
        for method in service.methods:
            permission = method.GetOptions().Extensions[permission_pb2.permission]
            path = f"/{service.full_name}/{method.name}"
            if not permission:
                raise MethodWithoutPermissionError(f"{path} has no `option (permission)`")
            yield MethodRule(
                path,
                permission,
                tenant_fields=tuple(_fields(method.input_type, _TENANT_FIELD)),
                dataset_fields=tuple(_fields(method.input_type, _DATASET_FIELD)),
            )


def wire_rules() -> dict[str, MethodRule]:
    """The rules of all generated services by path: a new file of the wire cannot be left out."""
    modules = (info.name for info in pkgutil.iter_modules(v1.__path__) if info.name.endswith("_pb2"))
    files = (importlib.import_module(f"{v1.__name__}.{module}").DESCRIPTOR for module in sorted(modules))
    return {rule.path: rule for file in files for rule in rules_of(file)}


def foreign_rules(*, beyond_loopback: bool) -> dict[str, MethodRule]:
    """The rules of gRPC's own services.

    Health tells only whether a service is served, to probes that carry no token. Reflection tells the wire,
    which is public, but beyond loopback only to those the gateway knows. Channelz tells who is connected.
    """
    reflection = "grpc.reflection.v1alpha.ServerReflection"
    rules = [
        *(
            MethodRule(f"/grpc.health.v1.Health/{method}", None, anonymous=True)
            for method in ("Check", "Watch", "List")
        ),
        MethodRule(f"/{reflection}/ServerReflectionInfo", None, anonymous=not beyond_loopback),
        *_channelz_rules(),
    ]
    return {rule.path: rule for rule in rules}


def _channelz_rules() -> Iterable[MethodRule]:
    service = channelz_pb2.DESCRIPTOR.services_by_name["Channelz"]
    for method in service.methods:
        yield MethodRule(f"/{service.full_name}/{method.name}", "channelz.read")


def _named(request: Message, fields: Iterable[tuple[str, ...]]) -> list[str]:
    """What the request says in these fields; an empty name is none."""
    names = []
    for *parents, field in fields:
        holder = request
        for parent in parents:
            holder = getattr(holder, parent)
        names.append(getattr(holder, field))
    return [name for name in names if name]


def _fields(message: Descriptor, name: str, seen: frozenset[str] = frozenset()) -> Iterator[tuple[str, ...]]:
    """Paths to singular string fields of that name, through singular messages."""
    for field in message.fields:
        if field.is_repeated:
            continue
        if field.name == name and field.type == FieldDescriptor.TYPE_STRING:
            yield (field.name,)
        elif field.message_type is not None and field.message_type.full_name not in seen:
            for path in _fields(field.message_type, name, seen | {message.full_name}):
                yield (field.name, *path)
