"""Tenants: each as it was created, with the limits and the state that were set last."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intelgraph.provenance.fsck.said import said
from intelgraph.provenance.fsck.tables.comparing import Told, compare
from intelgraph.provenance.kinds.spine import TenantCreated, TenantLimitsChanged, TenantStateChanged

if TYPE_CHECKING:
    import asyncpg

    from intelgraph.provenance.fsck.parts import LedgerParts
    from intelgraph.provenance.fsck.verdict import LedgerVerdict
    from intelgraph.storage.connection import Connection


@dataclass(frozen=True, slots=True)
class Tenants:
    """Rows of `tenant`."""

    rows: "Sequence[asyncpg.Record]"

    async def check(self, parts: "LedgerParts", size: int, verdict: "LedgerVerdict") -> None:
        """Compares them."""
        told: dict[str, Told] = {}
        for each in await said(parts, size, TenantCreated, TenantLimitsChanged, TenantStateChanged):
            name = str(each.about)
            before = told.get(name, Told(None, {}))
            match each.kind:
                case TenantCreated.NUMBER:
                    limits = json.loads(each.facts["limits"])
                    told[name] = Told(each.index, {"name": each.tenant, "state": "active", "limits": limits})
                case TenantLimitsChanged.NUMBER:
                    told[name] = before.but(each.index, limits=json.loads(each.facts["after"]))
                case _:
                    told[name] = before.but(each.index, state=each.facts["after"])
        rows = {str(row["tenant_id"]): {**row, "limits": json.loads(row["limits"])} for row in self.rows}
        compare(verdict, "tenant", rows, told)


async def read(connection: "Connection") -> Tenants:
    """All rows."""
    return Tenants(await connection.fetch("SELECT tenant_id, name, state, limits FROM tenant"))
