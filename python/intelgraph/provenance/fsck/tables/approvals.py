"""Approvals: what was asked for, who decided, where each stands, and the keys that approvers sign with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from intelgraph.approvals.kinds import KINDS
from intelgraph.provenance.fsck.said import said
from intelgraph.provenance.fsck.tables.comparing import Told, compare
from intelgraph.provenance.kinds.approvals import (
    ApprovalDenied,
    ApprovalExpired,
    ApprovalGiven,
    ApprovalRequested,
    ApprovalUsed,
    ApprovalVoided,
    ApprovalWithdrawn,
    ApproverKeyRegistered,
    ApproverKeyRevoked,
)

if TYPE_CHECKING:
    import asyncpg

    from intelgraph.provenance.fsck.parts import LedgerParts
    from intelgraph.provenance.fsck.said import Said
    from intelgraph.provenance.fsck.verdict import LedgerVerdict
    from intelgraph.storage.connection import Connection

_APPROVALS: Final = """
SELECT CASE WHEN platform THEN NULL ELSE tenant_id::text END AS tenant_id, approval_id::text, platform, kind,
  encode(digest, 'hex') AS digest, encode(sha256(document), 'hex') AS document, reason, ticket, role, quorum,
  requested_by, (extract(epoch FROM expires_at) * 1000000)::bigint AS expires_us, state, settled_by,
  superseded_by::text, owed
FROM approval
"""

_DECISIONS: Final = """
SELECT approval_id::text, approver, decision, machine, encode(key_id, 'hex') AS key_id FROM approval_decision
"""

_KEYS: Final = """
SELECT tenant_id::text, encode(key_id, 'hex') AS key_id, approver, algorithm,
  encode(public_key, 'hex') AS public_key, revoked_by, revoke_reason
FROM approver_key
"""


@dataclass(frozen=True, slots=True)
class Approvals:
    """Rows of `approval`, `approval_decision` and `approver_key`."""

    approvals: "Sequence[asyncpg.Record]"
    decisions: "Sequence[asyncpg.Record]"
    keys: "Sequence[asyncpg.Record]"

    async def check(self, parts: "LedgerParts", size: int, verdict: "LedgerVerdict") -> None:
        """Compares them."""
        told: dict[str, Told] = {}
        decided: dict[str, Told] = {}
        for each in await said(
            parts,
            size,
            ApprovalRequested,
            ApprovalGiven,
            ApprovalDenied,
            ApprovalWithdrawn,
            ApprovalExpired,
            ApprovalUsed,
            ApprovalVoided,
        ):
            approval_id = each.facts["approval_id"]
            if each.kind == ApprovalRequested.NUMBER:
                told[approval_id] = Told(each.index, _requested(each))
                continue
            told[approval_id] = told.get(approval_id, Told(None, {})).but(each.index, **_moved(each))
            if each.kind in {ApprovalGiven.NUMBER, ApprovalDenied.NUMBER}:
                word = "approve" if each.kind == ApprovalGiven.NUMBER else "deny"
                columns = {"machine": each.facts["machine"], "key_id": each.facts["key_id"]}
                decided[f"{approval_id} {each.by} {word}"] = Told(each.index, columns)
        # What ends a fork is told when it is used: until then there is no entry of it.
        owed = {
            row["approval_id"]
            for row in self.approvals
            if row["owed"] and row["approval_id"] not in told and _may_owe(row["kind"])
        }
        rows = {row["approval_id"]: dict(row) for row in self.approvals if row["approval_id"] not in owed}
        compare(verdict, "approval", rows, told)
        given = {
            f"{row['approval_id']} {row['approver']} {row['decision']}": dict(row)
            for row in self.decisions
            if row["approval_id"] not in owed
        }
        compare(verdict, "approval_decision", given, decided)
        await self._check_keys(parts, size, verdict)

    async def _check_keys(self, parts: "LedgerParts", size: int, verdict: "LedgerVerdict") -> None:
        told: dict[str, Told] = {}
        for each in await said(parts, size, ApproverKeyRegistered, ApproverKeyRevoked):
            name = f"{each.about} {each.facts['key_id']}"
            if each.kind == ApproverKeyRegistered.NUMBER:
                facts = {column: each.facts[column] for column in ("approver", "algorithm", "public_key")}
                told[name] = Told(each.index, {**facts, "revoked_by": None, "revoke_reason": None})
            else:
                revoked = {"revoked_by": each.by, "revoke_reason": each.facts["reason"]}
                told[name] = told.get(name, Told(None, {})).but(each.index, **revoked)
        rows = {f"{row['tenant_id']} {row['key_id']}": dict(row) for row in self.keys}
        compare(verdict, "approver_key", rows, told)


async def read(connection: "Connection") -> Approvals:
    """All rows."""
    return Approvals(
        await connection.fetch(_APPROVALS),
        await connection.fetch(_DECISIONS),
        await connection.fetch(_KEYS),
    )


def _may_owe(kind: str) -> bool:
    return kind in KINDS and KINDS[kind].while_forked


def _requested(each: "Said") -> dict[str, Any]:
    facts = each.facts
    same = ("platform", "digest", "reason", "ticket", "role", "quorum", "expires_us")
    return {
        **{column: facts[column] for column in same},
        "tenant_id": each.about,
        "kind": facts["act"],
        "document": facts["digest"],
        "requested_by": each.by,
        "state": "requested",
        "settled_by": None,
        "superseded_by": None,
    }


def _moved(each: "Said") -> dict[str, Any]:
    """What an entry after the request tells of where it stands."""
    match each.kind:
        case ApprovalGiven.NUMBER:
            return {"state": "approved"} if each.facts["approvals"] >= each.facts["quorum"] else {}
        case ApprovalDenied.NUMBER:
            return {"state": "denied", "settled_by": each.by}
        case ApprovalWithdrawn.NUMBER:
            superseded_by = each.facts["superseded_by"]
            return {"state": "withdrawn", "settled_by": each.by, "superseded_by": superseded_by}
        case ApprovalVoided.NUMBER:
            return {"state": "withdrawn", "settled_by": each.by}
        case ApprovalExpired.NUMBER:
            return {"state": "expired"}
        case _:
            return {"state": "used", "settled_by": each.by}
