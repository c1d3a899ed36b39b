"""From samples to figures: medians, ratios of pairs, and how far a ratio can be trusted."""

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benches.harness.interleave import Series
from benches.harness.sample import Quantity

_RESAMPLES = 10_000
_SEED = 20_260_107


@dataclass(frozen=True, slots=True)
class Estimate:
    """A median and the interval, both ends included, that holds it with 95 % confidence."""

    median: float
    low: float
    high: float


def median_of(series: Series, quantity: Quantity) -> Estimate:
    """The median of one quantity over a series."""
    return bootstrap_median([quantity(sample) for sample in series.samples])


def ratio_of(numerator: Series, denominator: Series, quantity: Quantity) -> Estimate:
    """The median over the rounds of `numerator / denominator`, each pair taken within one round."""
    pairs = zip(numerator.samples, denominator.samples, strict=True)
    return bootstrap_median([quantity(above) / quantity(below) for above, below in pairs])


def bootstrap_median(values: Sequence[float]) -> Estimate:
    """Median with a percentile-bootstrap interval (Efron 1979) from a fixed seed, so that a figure can be
    recomputed from its samples.

    Raises:
        ValueError: if `values` is empty.
    """
    if not values:
        raise ValueError("no samples to estimate from")
    generator = random.Random(_SEED)
    medians = sorted(statistics.median(generator.choices(values, k=len(values))) for _ in range(_RESAMPLES))
    tail = _RESAMPLES * 25 // 1000
    return Estimate(statistics.median(values), medians[tail], medians[_RESAMPLES - 1 - tail])
