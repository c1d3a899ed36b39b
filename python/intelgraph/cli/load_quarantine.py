"""What a load put into quarantine, and which of its records waited there already.

An answer names one entry for a batch's violating records. It is an entry of that batch if any of its records
is new to the quarantine; else one that an earlier batch made, which holds other records too, so that its
report says nothing about this load.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from intelgraph.cli.broken_rules import BrokenRule, sum_up

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from intelgraph.cli.loading import Loaded
    from intelgraph.client import AsyncClient, Outcome, QuarantineDetail

_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class LoadQuarantine:
    """What is known of the records of a load that broke the contract."""

    rules: list[BrokenRule]
    """What the records of the batches break that made an entry, most frequent first."""
    made: list[UUID]
    """Entries that the load made."""
    waited: int
    """Records that waited in quarantine before the load."""
    waited_in: list[UUID]
    """Entries of earlier loads that the gateway named for them."""
    warned_rules: list[BrokenRule] = field(default_factory=list)
    """What the records break that were stored all the same, most frequent first."""
    stored: list[UUID] = field(default_factory=list)
    """The entries about those."""

    def as_json(self) -> dict[str, Any]:
        """As --json shows it."""
        return {
            "broken_rules": [rule.as_json() for rule in self.rules],
            "quarantine_ids": [str(entry) for entry in self.made],
            "waited_already": self.waited,
            "waited_in": [str(entry) for entry in self.waited_in],
            "warned_rules": [rule.as_json() for rule in self.warned_rules],
            "stored_ids": [str(entry) for entry in self.stored],
        }


async def load_quarantine(client: AsyncClient, loads: Sequence[Loaded]) -> LoadQuarantine:
    """What the loads put into quarantine. Raises as `Quarantine.get`."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def entry(quarantine_id: UUID) -> QuarantineDetail:
        async with gate:
            return await client.quarantine.get(quarantine_id)

    named = {outcome.quarantine_id for loaded in loads for outcome in loaded.quarantined}
    entries = await asyncio.gather(*(entry(each) for each in named if each is not None))
    details = {detail.entry.quarantine_id: detail for detail in entries}
    stored = [each.stored_id for loaded in loads for each in loaded.warned if each.stored_id is not None]
    warned = await asyncio.gather(*map(entry, stored))
    made: list[QuarantineDetail] = []
    waited = 0
    waited_in: dict[UUID, None] = {}
    for loaded in loads:
        for outcome in loaded.quarantined:
            if outcome.quarantine_id is None:
                continue
            detail = details[outcome.quarantine_id]
            if _made_by(detail, loaded.destination.stream_id, outcome):
                made.append(detail)
                waited += outcome.quarantined - detail.entry.records
            else:
                waited += outcome.quarantined
                waited_in[outcome.quarantine_id] = None
    return LoadQuarantine(
        rules=sum_up(detail.report for detail in made),
        made=[detail.entry.quarantine_id for detail in made],
        waited=waited,
        waited_in=list(waited_in),
        warned_rules=sum_up(detail.report for detail in warned),
        stored=stored,
    )


def _made_by(detail: QuarantineDetail, stream_id: str, outcome: Outcome) -> bool:
    return (detail.entry.stream_id, detail.entry.sequence) == (stream_id, outcome.sequence)
