"""`EnvelopeService`: seals and opens services' messages under the tenant's own key.

A request is taken apart, sealed or opened and answered by the core, in one call; here keys are got ready.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final

import grpc

from intelgraph._core import InvalidRequest, Keystore, KeyUnavailable, MessagesToOpen, MessagesToSeal
from intelgraph.errors import InvalidArgument
from intelgraph.gateway.identity import current_identity
from intelgraph.gateway.permissions import require_named
from intelgraph.gateway.server import Service
from intelgraph.gateway.v1 import envelope_pb2
from intelgraph.keys.refusals import key_unavailable

if TYPE_CHECKING:
    from intelgraph.keys.service import KeyService
    from intelgraph.tenants.registry import Tenant

    Handler = grpc.RpcMethodHandler[Any, Any]
    Context = grpc.aio.ServicerContext[Any, Any]

ATTEMPTS: Final = 3
"""A lease may end, and a key be used up or pushed out by others, between getting it ready and using it."""

_NAME: Final = envelope_pb2.DESCRIPTOR.services_by_name["EnvelopeService"].full_name


class EnvelopeService:
    """Messages of the caller's tenant. Requests and responses stay bytes."""

    def __init__(self, keystore: Keystore, keys: "KeyService") -> None:
        self._keystore = keystore
        self._keys = keys

    def service(self) -> Service:
        """The service, to be added to the server."""
        return Service(_NAME, self._add_to)

    def _add_to(self, server: grpc.aio.Server) -> None:
        handlers: dict[str, Handler] = {
            "Encrypt": grpc.unary_unary_rpc_method_handler(self.encrypt),
            "Decrypt": grpc.unary_unary_rpc_method_handler(self.decrypt),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_NAME, handlers),))

    async def encrypt(self, request: bytes, context: "Context") -> bytes:
        """An `EncryptResponse` to an `EncryptRequest`.

        Raises InvalidArgument MALFORMED_MESSAGE, TOO_MANY_MESSAGES, CONTEXT_TOO_LONG or MESSAGES_TOO_LARGE,
        PermissionDenied TENANT_MISMATCH, and as `KeyService.authorise`.
        """
        try:
            messages = MessagesToSeal.decode(request)
        except InvalidRequest as error:
            raise _invalid(error) from None
        await require_named(messages.tenant)
        tenant = current_identity.get().tenant
        for _ in range(ATTEMPTS):
            await self._keys.ensure_seal_slot(tenant, messages.count)
            try:
                return await self._sealed(tenant, messages)
            except KeyUnavailable:
                continue
        raise key_unavailable()

    async def decrypt(self, request: bytes, context: "Context") -> bytes:
        """A `DecryptResponse` to a `DecryptRequest`: what does not open is an error in its place.

        Raises as `encrypt`, and ResourceExhausted TRAVELLING_KEYS_TOO_MANY.
        """
        try:
            messages = MessagesToOpen.decode(request)
        except InvalidRequest as error:
            raise _invalid(error) from None
        await require_named(messages.tenant)
        tenant = current_identity.get().tenant
        for _ in range(ATTEMPTS):
            await self._keys.authorise(tenant)
            try:
                return await self._opened(tenant, messages)
            except KeyUnavailable:
                continue
        raise key_unavailable()

    async def _sealed(self, tenant: "Tenant", messages: MessagesToSeal) -> bytes:
        reservation = messages.reserve(self._keystore, tenant.tenant_id.bytes)
        carried = None
        if messages.keys_travel:
            keys = await self._keys.keys_to_travel(tenant, reservation.dek_id)
            carried = (keys.dek, keys.tenant_key)
        return await asyncio.to_thread(messages.seal, reservation, carried)

    async def _opened(self, tenant: "Tenant", messages: MessagesToOpen) -> bytes:
        tenant_id = tenant.tenant_id.bytes
        if await self._keys.look_up(tenant, messages.keys_needed()):
            travelled = messages.travelling_keys(self._keystore, tenant_id)
            if travelled:
                await self._keys.load_travelled(tenant, travelled)
        return await asyncio.to_thread(messages.open, self._keystore, tenant_id)


_FIXES: Final = {
    "MALFORMED_MESSAGE": "generate the client from the gateway's wire definition",
    "TOO_MANY_MESSAGES": "send the rest in another request",
    "CONTEXT_TOO_LONG": "name the context's digest instead of the context",
    "MESSAGES_TOO_LARGE": "send fewer in one request",
}


def _invalid(error: InvalidRequest) -> InvalidArgument:
    message, reason = error.args
    return InvalidArgument(reason, message, fix=_FIXES[reason])
