"""Diffs by the two libraries that a Python team would take: jsondiff and deepdiff.

Both get parsed documents, so that they are not charged for parsing.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import deepdiff
import jsondiff

from benches.records import Document


class Pair(NamedTuple):
    """Two versions of one entity."""

    old: Document
    new: Document


def jsondiff_batch(pairs: Sequence[Pair]) -> list[Any]:
    """jsondiff's compact form of each change, its fastest."""
    return [jsondiff.diff(old, new) for old, new in pairs]


def deepdiff_batch(pairs: Sequence[Pair]) -> list[Any]:
    """deepdiff's default result for each change."""
    return [deepdiff.DeepDiff(old, new) for old, new in pairs]
