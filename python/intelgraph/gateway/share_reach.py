"""Whom a share of tenants comes to, as the tenants and their own settings are now: for who approves one."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from intelgraph.approvals.approval import OPEN
from intelgraph.flags.changes import APPROVAL_KIND
from intelgraph.flags.table import FLAGS
from intelgraph.tenants.registry import TenantState

if TYPE_CHECKING:
    from intelgraph.approvals.approval import Approval
    from intelgraph.flags.registry import FlagRegistry
    from intelgraph.gateway.flag_service import Tenants
    from intelgraph.tenants.registry import Tenant

_NAMED: Final = 5
"""Tenants that are named; the others are counted."""

_PAGE: Final = 1_000


class ShareReach:
    """Tells of an approval that is open what its share comes to."""

    def __init__(self, flags: "FlagRegistry", tenants: "Tenants") -> None:
        self._flags = flags
        self._tenants = tenants

    async def now(self, approval: "Approval") -> tuple[str, ...]:
        """In plain words; nothing for what is no share, or is over."""
        if approval.kind != APPROVAL_KIND or approval.state not in OPEN:
            return ()
        document = approval.members()
        percent = document["share_percent"]
        kind = next((kind for kind in FLAGS.values() if kind.name == document["flag"]), None)
        if percent is None or kind is None:
            return ()
        reached, count = [], 0
        async for tenant in self._everyone():
            count += 1
            if self._flags.with_share(kind.flag, tenant.tenant_id, percent).weakened:
                reached.append(tenant.name)
        some = ", ".join(reached[:_NAMED])
        others = f" and {len(reached) - _NAMED} more" if len(reached) > _NAMED else ""
        whom = f": {some}{others}" if reached else ""
        return (f"As things are now, {len(reached)} of {count} tenants have {kind.weakened} then{whom}.",)

    async def _everyone(self) -> "AsyncIterator[Tenant]":
        """All tenants but those that are offboarded."""
        after = ""
        while page := await self._tenants.page(after, _PAGE):
            for tenant in page:
                if tenant.state is not TenantState.OFFBOARDED:
                    yield tenant
            after = page[-1].name
