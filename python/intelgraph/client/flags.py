"""Flags: how a check or a capability is backed out of, for one's tenant or for a share of all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING
from uuid import UUID

from intelgraph.client.times import Moment, to_us
from intelgraph.gateway.v1 import flag_pb2, flag_pb2_grpc

if TYPE_CHECKING:
    import grpc

    from intelgraph.client.calls import Caller


class FlagReason(IntEnum):
    """Why a value holds."""

    DEFAULT = flag_pb2.FLAG_REASON_DEFAULT
    """Nobody set anything that reaches the tenant."""
    SHARE = flag_pb2.FLAG_REASON_SHARE
    """The tenant is in the share that has the weakened value."""
    TENANT = flag_pb2.FLAG_REASON_TENANT
    """The tenant set it for itself."""


@dataclass(frozen=True, slots=True)
class FlagValue:
    """A flag as it is for one tenant. Times are microseconds since the Unix epoch."""

    tenant: str
    flag: str
    value: str
    reason: FlagReason
    until_us: int | None
    """When it ends by itself."""
    changed_by: str
    """Empty where nobody set anything."""
    changed_us: int
    approval_id: UUID | None
    """The approval under which it was weakened."""


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag, and the share of tenants for which it has its weakened value."""

    flag: str
    safe_value: str
    """The default."""
    weakened_value: str
    effect: str
    """What the weakened value does."""
    acts: bool
    """Whether the gateway acts on it, and does not only store and record it."""
    share: int
    """Percent of all tenants."""
    until_us: int | None
    """When the share ends by itself."""


@dataclass(frozen=True, slots=True)
class FlagSet:
    """What came of setting a flag."""

    value: FlagValue
    """For the caller's tenant."""
    flag: Flag
    changed: bool
    """False where all was so already."""


class Flags:
    """Reads and sets flags."""

    def __init__(self, channel: grpc.aio.Channel, caller: Caller) -> None:
        self._stub = flag_pb2_grpc.FlagServiceStub(channel)
        self._caller = caller

    async def list(self, flag: str = "", *, timeout: float | None = None) -> Sequence[FlagValue]:
        """What holds for the caller's tenant, of one flag or of all."""
        request = flag_pb2.ListFlagsRequest(flag=flag)
        return [_value(value) for value in (await self._list(request, timeout)).values]

    async def all_tenants(self, flag: str = "", *, timeout: float | None = None) -> AsyncIterator[FlagValue]:
        """What holds for every tenant, by name. For the platform tenant."""
        token = ""
        while True:
            request = flag_pb2.ListFlagsRequest(flag=flag, all_tenants=True, page_size=1000, page_token=token)
            page = await self._list(request, timeout)
            for value in page.values:
                yield _value(value)
            token = page.next_page_token
            if not token:
                return

    async def describe(self, flag: str = "", *, timeout: float | None = None) -> Sequence[Flag]:
        """The flags themselves, one or all."""
        request = flag_pb2.ListFlagsRequest(flag=flag)
        return [_flag(each) for each in (await self._list(request, timeout)).flags]

    async def set(
        self,
        flag: str,
        value: str,
        *,
        share: int | None = None,
        until: Moment | None = None,
        approval: UUID | None = None,
        timeout: float | None = None,
    ) -> FlagSet:
        """Sets a flag for the caller's tenant, or with `share`, in percent, for so many of all tenants.

        For a tenant `default` unsets what it has set. What weakens needs `approval`; raises FailedPrecondition
        APPROVAL_MISSING without one, whose metadata has the document that it takes.
        """
        request = flag_pb2.SetFlagRequest(
            flag=flag,
            value=value,
            share=share,
            until_us=to_us(until) if until is not None else None,
            approval_id=str(approval) if approval is not None else "",
        )
        response = await self._caller.call(self._stub.SetFlag, request, timeout)
        return FlagSet(_value(response.value), _flag(response.flag), response.changed)

    async def _list(
        self, request: flag_pb2.ListFlagsRequest, timeout: float | None
    ) -> flag_pb2.ListFlagsResponse:
        return await self._caller.call(self._stub.ListFlags, request, timeout)


def _value(value: flag_pb2.FlagValue) -> FlagValue:
    return FlagValue(
        tenant=value.tenant,
        flag=value.flag,
        value=value.value,
        reason=FlagReason(value.reason),
        until_us=value.until_us if value.HasField("until_us") else None,
        changed_by=value.changed_by,
        changed_us=value.changed_us,
        approval_id=UUID(value.approval_id) if value.approval_id else None,
    )


def _flag(flag: flag_pb2.FlagShare) -> Flag:
    return Flag(
        flag=flag.flag,
        safe_value=flag.safe_value,
        weakened_value=flag.weakened_value,
        effect=flag.effect,
        acts=flag.acts,
        share=flag.share,
        until_us=flag.until_us if flag.HasField("until_us") else None,
    )
