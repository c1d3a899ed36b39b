"""Flags: what each tenant has set, and the share of all, as they were changed last, and under which approval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from intelgraph.flags.table import FLAGS, UNSET, flag_of
from intelgraph.provenance.fsck.said import said
from intelgraph.provenance.fsck.tables.comparing import Told, compare
from intelgraph.provenance.kinds.flags import FlagChanged, FlagEnded

if TYPE_CHECKING:
    import asyncpg

    from intelgraph.provenance.fsck.parts import LedgerParts
    from intelgraph.provenance.fsck.said import Said
    from intelgraph.provenance.fsck.verdict import LedgerVerdict
    from intelgraph.storage.connection import Connection

_UNTIL: Final = "(extract(epoch FROM until) * 1000000)::bigint AS until_us, changed_by, approval_id::text"
_SHARES: Final = f"SELECT flag, share, {_UNTIL} FROM flag_share"  # noqa: S608 (constants)
_SETTINGS: Final = f"SELECT tenant_id, flag, weakened, {_UNTIL} FROM flag_setting"  # noqa: S608 (constants)

_NOT_SHARED: Final = {"share": 0, "until_us": None, "approval_id": None}


@dataclass(frozen=True, slots=True)
class Flags:
    """Rows of `flag_share` and `flag_setting`."""

    shares: "Sequence[asyncpg.Record]"
    settings: "Sequence[asyncpg.Record]"

    async def check(self, parts: "LedgerParts", size: int, verdict: "LedgerVerdict") -> None:
        """Compares them."""
        shares = {flag.value: Told(None, {**_NOT_SHARED, "changed_by": None}) for flag in FLAGS}
        settings: dict[str, Told] = {}
        for each in await said(parts, size, FlagChanged, FlagEnded):
            flag = each.facts["flag"]
            if each.facts["scope"] == "share":
                shares[flag] = Told(each.index, _share(each))
            else:
                settings[f"{each.about} {flag}"] = Told(each.index, _setting(each))
        compare(verdict, "flag_share", {row["flag"]: dict(row) for row in self.shares}, shares)
        rows = {f"{row['tenant_id']} {row['flag']}": dict(row) for row in self.settings}
        compare(verdict, "flag_setting", rows, settings)


async def read(connection: "Connection") -> Flags:
    """All rows."""
    return Flags(await connection.fetch(_SHARES), await connection.fetch(_SETTINGS))


def _share(each: "Said") -> dict[str, Any]:
    if each.kind == FlagEnded.NUMBER:
        return {**_NOT_SHARED, "changed_by": each.by}
    return {"share": each.facts["share"], **_change(each)}


def _setting(each: "Said") -> dict[str, Any] | None:
    """None where the tenant has set nothing."""
    if each.kind == FlagEnded.NUMBER:
        return None
    word = each.facts["after"].split(" ")[0]
    if word == UNSET:
        return None
    return {"weakened": word == flag_of(each.facts["flag"]).weakened, **_change(each)}


def _change(each: "Said") -> dict[str, Any]:
    return {
        "until_us": each.facts["until_us"],
        "approval_id": each.facts["approval_id"],
        "changed_by": each.by,
    }
