"""What a batch's producer is told when the batch cannot go on now."""

from __future__ import annotations

import logging

from intelgraph import errors
from intelgraph._core import CorruptData, KeyUnavailable
from intelgraph.keys.refusals import key_unavailable
from intelgraph.keys.unsealing import data_corrupt

_log = logging.getLogger(__name__)


def refusal(error: Exception) -> errors.IntelGraphError:
    """The gateway's error for whatever stopped a batch. What nobody foresaw is logged here."""
    if isinstance(error, errors.IntelGraphError):
        return error
    if isinstance(error, KeyUnavailable):
        return key_unavailable()
    _log.error("batch_failed", exc_info=error)
    if isinstance(error, CorruptData):
        return data_corrupt("what is stored of an entity in the batch was altered or is damaged")
    return errors.Internal("INTERNAL", "the batch could not be committed", fix="see the gateway's log")
