"""What a batch's producer is told when the batch cannot go on now."""

from __future__ import annotations

import logging

from intelgraph import errors
from intelgraph._core import CorruptData, KeyUnavailable

_log = logging.getLogger(__name__)


def refusal(error: Exception) -> errors.IntelGraphError:
    """The gateway's error for whatever stopped a batch. What nobody foresaw is logged here."""
    if isinstance(error, errors.IntelGraphError):
        return error
    if isinstance(error, KeyUnavailable):
        return errors.Unavailable(
            "KEY_UNAVAILABLE",
            "the tenant's key cannot be used now",
            fix="send the batch again after the delay; see the key's state if it lasts",
            retry_after=1.0,
        )
    _log.error("batch_failed", exc_info=error)
    if isinstance(error, CorruptData):
        return errors.DataLoss(
            "DATA_CORRUPT",
            "what is stored of an entity in the batch was altered or is damaged",
            fix="run `intelgraph log verify`, and restore the tenant's log from a backup",
        )
    return errors.Internal("INTERNAL", "the batch could not be committed", fix="see the gateway's log")
