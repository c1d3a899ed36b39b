"""`FlagService`: shows and changes flags, for the caller's tenant or for a share of all."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from intelgraph.errors import InvalidArgument, PermissionDenied
from intelgraph.flags.changes import FlagChange, ShareChange, TenantChange
from intelgraph.flags.registry import FlagRegistry
from intelgraph.flags.snapshot import Reason
from intelgraph.flags.table import FLAGS, FlagKind, flag_of
from intelgraph.gateway.approval_id import approval_id_if_given
from intelgraph.gateway.identity import Identity, current_identity
from intelgraph.gateway.page_token import PageScope, page_size
from intelgraph.gateway.v1 import flag_pb2, flag_pb2_grpc
from intelgraph.tenants.registry import Tenant

if TYPE_CHECKING:
    import grpc

    Context = grpc.aio.ServicerContext[Any, Any]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_US: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999."""

_REASONS: Final = {
    Reason.DEFAULT: flag_pb2.FLAG_REASON_DEFAULT,
    Reason.SHARE: flag_pb2.FLAG_REASON_SHARE,
    Reason.TENANT: flag_pb2.FLAG_REASON_TENANT,
}


class Tenants(Protocol):
    """Where tenants are listed; see `TenantRegistry`."""

    async def page(self, after_name: str, limit: int) -> Sequence[Tenant]:
        """At most `limit` tenants by name, of those that follow `after_name`."""


class FlagService(flag_pb2_grpc.FlagServiceServicer):
    """A tenant sets its own flags; what reaches across tenants is the platform tenant's."""

    def __init__(self, flags: FlagRegistry, tenants: Tenants) -> None:
        self._flags = flags
        self._tenants = tenants

    async def ListFlags(  # noqa: N802 (gRPC's name)
        self, request: flag_pb2.ListFlagsRequest, context: "Context"
    ) -> flag_pb2.ListFlagsResponse:
        identity = current_identity.get()
        kinds = [flag_of(request.flag)] if request.flag else list(FLAGS.values())
        tenants, token = [identity.tenant], ""
        if request.all_tenants:
            _require_platform(identity)
            tenants, token = await self._page(identity.tenant, request)
        return flag_pb2.ListFlagsResponse(
            values=[self._value(kind, tenant) for tenant in tenants for kind in kinds],
            flags=[self._share(kind) for kind in kinds],
            next_page_token=token,
        )

    async def SetFlag(  # noqa: N802 (gRPC's name)
        self, request: flag_pb2.SetFlagRequest, context: "Context"
    ) -> flag_pb2.SetFlagResponse:
        identity = current_identity.get()
        kind = flag_of(request.flag)
        until = _moment(request.until_us) if request.HasField("until_us") else None
        change: FlagChange
        if request.HasField("share"):
            _require_platform(identity)
            change = ShareChange.of(kind, request.value, request.share, until)
        else:
            change = TenantChange.of(kind, identity.tenant, request.value, until)
        changed = await self._flags.change(change, approval_id_if_given(request.approval_id), identity.actor)
        return flag_pb2.SetFlagResponse(
            value=self._value(kind, identity.tenant), flag=self._share(kind), changed=changed
        )

    async def _page(self, asker: Tenant, request: flag_pb2.ListFlagsRequest) -> tuple[list[Tenant], str]:
        scope = PageScope(asker.tenant_id, ("ListFlags", request.flag))
        size = page_size(request.page_size, default=100, most=1000)
        position = scope.position(request.page_token, str)
        found = await self._tenants.page(str(position[0]) if position else "", size + 1)
        page = list(found[:size])
        return page, scope.token((page[-1].name,)) if len(found) > size else ""

    def _value(self, kind: FlagKind, tenant: Tenant) -> flag_pb2.FlagValue:
        now = self._flags.effective(kind.flag, tenant.tenant_id)
        changed = now.changed
        approval_id = changed.approval_id if changed is not None else None
        return flag_pb2.FlagValue(
            tenant=tenant.name,
            flag=kind.name,
            value=now.value,
            reason=_REASONS[now.reason],
            until_us=_us(now.until) if now.until is not None else None,
            changed_by=changed.by if changed is not None else "",
            changed_us=_us(changed.at) if changed is not None else 0,
            approval_id=str(approval_id) if approval_id is not None else "",
        )

    def _share(self, kind: FlagKind) -> flag_pb2.FlagShare:
        share = self._flags.share(kind.flag)
        return flag_pb2.FlagShare(
            flag=kind.name,
            safe_value=kind.safe,
            weakened_value=kind.weakened,
            effect=kind.effect,
            acts=kind.acts,
            share=share.percent,
            until_us=_us(share.until) if share.until is not None else None,
        )


def _require_platform(identity: Identity) -> None:
    if not identity.platform:
        raise PermissionDenied(
            "PLATFORM_TENANT_ONLY",
            "a share reaches across tenants, and so do the flags of all of them: they are kept for the platform tenant",
            fix="call with an identity of the tenant in the gateway's setting platform_tenant, or set the flag for your"
            " own tenant, without a share",
        )


def _moment(unix_us: int) -> datetime:
    if not 0 <= unix_us <= _LATEST_US:
        raise InvalidArgument(
            "FLAG_UNTIL_PAST", "the end that is set is not to come", fix="name a moment to come"
        )
    return _EPOCH + timedelta(microseconds=unix_us)


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
