"""`EntityService`: entities over recorded and valid time, and the feed of changes.

The methods answer with encoded messages: the core writes what comes of rows, and the small rest follows it.
"""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import grpc

from intelgraph.errors import InvalidArgument
from intelgraph.gateway.identity import current_identity
from intelgraph.gateway.page_token import PageScope, page_size
from intelgraph.gateway.server import Service
from intelgraph.gateway.v1 import entity_pb2
from intelgraph.gateway.violation_report import violation_report
from intelgraph.storage.change_log import VersionKey
from intelgraph.temporal.entities import EntityName, EntityReader, Moment

if TYPE_CHECKING:
    from intelgraph.temporal.feed import ChangeFeed

    Handler = grpc.RpcMethodHandler[Any, Any]
    Context = grpc.aio.ServicerContext[Any, Any]

_NAME: Final = entity_pb2.DESCRIPTOR.services_by_name["EntityService"].full_name


class EntityService:
    """Entities of the caller's tenant."""

    def __init__(self, entities: EntityReader, feed: "ChangeFeed") -> None:
        self._entities = entities
        self._feed = feed

    def service(self) -> Service:
        """The service, to be added to the server."""
        return Service(_NAME, self._add_to)

    def _add_to(self, server: grpc.aio.Server) -> None:
        unary = grpc.unary_unary_rpc_method_handler
        handlers: dict[str, Handler] = {
            "Get": unary(self.get, entity_pb2.GetRequest.FromString),
            "Diff": unary(self.diff, entity_pb2.DiffRequest.FromString),
            "History": unary(self.history, entity_pb2.HistoryRequest.FromString),
            "Changes": grpc.unary_stream_rpc_method_handler(
                self.changes, entity_pb2.ChangesRequest.FromString
            ),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_NAME, handlers),))

    async def get(self, request: entity_pb2.GetRequest, context: "Context") -> bytes:
        """A `GetResponse`."""
        tenant = current_identity.get().tenant
        found = await self._entities.get(
            tenant, _entity(request.entity), _moment(request.as_of), with_report=request.with_report
        )
        rest = entity_pb2.GetResponse(
            as_of_seq=found.watermark,
            report=violation_report(found.report) if found.report is not None else None,
        )
        return found.message + rest.SerializeToString()

    async def diff(self, request: entity_pb2.DiffRequest, context: "Context") -> bytes:
        """A `DiffResponse`."""
        tenant = current_identity.get().tenant
        # The field is called `from`, which Python cannot write.
        before, after = _moment(getattr(request, "from")), _moment(request.to)
        found = await self._entities.diff(tenant, _entity(request.entity), before, after)
        return found.message + entity_pb2.DiffResponse(as_of_seq=found.watermark).SerializeToString()

    async def history(self, request: entity_pb2.HistoryRequest, context: "Context") -> bytes:
        """A `HistoryResponse`."""
        tenant = current_identity.get().tenant
        entity = _entity(request.entity)
        scope = PageScope(tenant.tenant_id, ("History", entity.dataset, str(entity.by)))
        position = scope.position(request.page_token, int, int)
        page = await self._entities.history(
            tenant,
            entity,
            VersionKey(int(position[0]), int(position[1])) if position else None,
            page_size(request.page_size, default=50, most=500),
            with_documents=request.with_documents,
        )
        rest = entity_pb2.HistoryResponse(
            next_page_token=scope.token((page.next.valid_us, page.next.seq)) if page.next else "",
            as_of_seq=page.watermark,
        )
        return page.entries + rest.SerializeToString()

    async def changes(self, request: entity_pb2.ChangesRequest, context: "Context") -> AsyncIterator[bytes]:
        """`ChangesResponse`s, until the caller ends it or the gateway has to."""
        feed = self._feed.changes(
            current_identity.get().tenant,
            request.after_seq,
            list(request.datasets),
            until_now=request.until_now,
        )
        async for part in feed:
            rest = entity_pb2.ChangesResponse(resume_after_seq=part.resume_after_seq)
            yield part.entries + rest.SerializeToString()


def _entity(reference: entity_pb2.EntityRef) -> EntityName:
    match reference.WhichOneof("by"):
        case "entity_id":
            return EntityName(reference.dataset, _identifier(reference.entity_id))
        case "key":
            return EntityName(reference.dataset, reference.key)
        case _:
            raise InvalidArgument(
                "ENTITY_MISSING",
                "the request names no entity",
                fix="set entity.dataset, and entity.key or entity.entity_id",
            )


def _identifier(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidArgument(
            "ENTITY_ID_INVALID",
            "the entity id is not a UUID",
            fix="copy it from an EntityVersion, or name the entity by its key",
        ) from None


def _moment(as_of: entity_pb2.AsOf) -> Moment:
    return Moment(
        recorded_us=as_of.recorded_us if as_of.HasField("recorded_us") else None,
        valid_us=as_of.valid_us if as_of.HasField("valid_us") else None,
    )
