"""Takes the tokens that were minted on this host into the ledger.

A line of `minted.jsonl` is an entry once, however often it is read: the row of its token, which the same transaction
writes, says that it is. So a gateway may be killed at any moment, and several may read one file.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

from intelgraph.errors import IntelGraphError
from intelgraph.provenance.actor import Actor
from intelgraph.provenance.kinds.spine import TokenMinted
from intelgraph.provenance.ledger import Act
from intelgraph.provenance.minted_file import MintedLine, keep_malformed, lines_of, take_over

if TYPE_CHECKING:
    from intelgraph.provenance.ledger import EntryTenant, Ledger
    from intelgraph.storage.connection import Connection
    from intelgraph.storage.database import Database

LOOK_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 5.0
MOST_AT_ONCE: Final = 500

_log = logging.getLogger(__name__)

_NEW: Final = """
INSERT INTO minted_token (token_id, expires_at)
SELECT token_id, 'epoch'::timestamptz + expires_us * interval '1 microsecond'
FROM unnest($1::uuid[], $2::bigint[]) AS minted (token_id, expires_us)
ON CONFLICT DO NOTHING RETURNING token_id
"""
_TENANTS: Final = "SELECT tenant_id, name FROM tenant WHERE name = ANY ($1::text[])"
# By then the token is of no use, and its line long gone.
_FORGET: Final = "DELETE FROM minted_token WHERE expires_at < clock_timestamp() - interval '1 day'"


class _Named:
    """A tenant, as its entry names it."""

    def __init__(self, tenant_id: UUID, name: str) -> None:
        self.tenant_id = tenant_id
        self.name = name


class MintedTokens:
    """Takes what is in one directory, for as long as it runs."""

    def __init__(self, database: "Database", ledger: "Ledger", directory: Path) -> None:
        self._database = database
        self._ledger = ledger
        self._directory = directory

    async def run(self) -> None:
        """Never returns."""
        while True:
            pause = LOOK_SECONDS
            try:
                await self.take()
            except IntelGraphError as error:
                _log.warning("minted tokens not entered in the ledger yet", extra={"why": error.reason})
                pause = RETRY_SECONDS
            except OSError as error:
                _log.warning("minted tokens not read", extra={"why": error.strerror})
                pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    async def take(self, reached: Callable[[str], None] = lambda _: None) -> int:
        """Enters all that was minted; how many tokens that were. `reached` is called behind each step.

        Raises OSError, and as `Ledger.append_all`: then the files are still there.
        """
        taken = await asyncio.to_thread(take_over, self._directory)
        reached("moved")
        entered = 0
        for path in taken:
            lines, malformed = await asyncio.to_thread(lines_of, path)
            if malformed:
                _log.error("lines of minted tokens not understood", extra={"lines": len(malformed)})
                await asyncio.to_thread(keep_malformed, self._directory, malformed)
            reached("read")
            for at in range(0, len(lines), MOST_AT_ONCE):
                entered += await self._enter(lines[at : at + MOST_AT_ONCE])
            reached("entered")
            await asyncio.to_thread(path.unlink, missing_ok=True)
            reached("removed")
        if taken:
            async with self._database.write() as connection:
                await connection.execute(_FORGET)
        return entered

    async def _enter(self, lines: Sequence[MintedLine]) -> int:
        await self._ledger.ready(len(lines))
        async with self._database.write() as connection:
            rows = await connection.fetch(
                _NEW, [each.token_id for each in lines], [each.expires_us for each in lines]
            )
            new = {row["token_id"] for row in rows}
            tenants = await _tenants(connection, lines)
            by_id = {each.token_id: each for each in lines if each.token_id in new}
            await self._ledger.append_all(
                connection, [_act(each, tenants.get(each.tenant)) for each in by_id.values()]
            )
        return len(by_id)


async def _tenants(connection: "Connection", lines: Sequence[MintedLine]) -> Mapping[str, "EntryTenant"]:
    rows = await connection.fetch(_TENANTS, sorted({each.tenant for each in lines}))
    return {row["name"]: _Named(row["tenant_id"], row["name"]) for row in rows}


def _act(line: MintedLine, tenant: "EntryTenant | None") -> Act:
    facts = TokenMinted(str(line.token_id), line.holder, line.roles, line.expires_us)
    return Act(facts, f"token:{line.token_id}", Actor(line.by, "cli"), tenant)
