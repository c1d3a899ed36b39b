"""How much a tenant may keep in quarantine, and which batches have to wait until there is room again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from intelgraph import errors
from intelgraph.ingest.lane import Submission

RETRY_SECONDS = 5.0
"""Room is made by people, who correct a producer or raise a limit."""


def beyond_limit(
    submissions: Iterable[Submission], quarantining: Sequence[int], room: int
) -> list[Submission]:
    """The batches whose violating records do not fit into `room` records, after those before them that do.

    `quarantining` has the records that each batch that is no rejection puts into quarantine, in order. One that puts
    none there always fits.
    """
    beyond: list[Submission] = []
    records = iter(quarantining)
    for submission in submissions:
        adds = 0 if submission.batch is None else next(records)
        if adds > 0 and adds > room:
            beyond.append(submission)
        else:
            room -= adds
    return beyond


def quarantine_full(waiting: int, limit: int) -> errors.IntelGraphError:
    """The refusal of a batch that has no room; it is not consumed, and asked for again."""
    return errors.ResourceExhausted(
        "QUARANTINE_FULL",
        f"{waiting} records wait in quarantine, at most {limit} may, and the batch has more that break the contract",
        fix="see `intelgraph quarantine list` and correct the producer, or have the operator raise the limit:"
        " intelgraph tenants limits --quarantine-records",
        metadata={"limit": "quarantine_records", "waiting": str(waiting), "most": str(limit)},
        retry_after=RETRY_SECONDS,
    )
