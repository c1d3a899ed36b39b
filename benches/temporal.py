"""Diffs between two versions of a record of which 3 of 20 fields change, in batches of 512."""

from functools import partial
from typing import Final

from benches.baselines.temporal import Pair, deepdiff_batch, jsondiff_batch
from benches.harness.batch_arm import BatchArm
from benches.harness.environment import observe
from benches.harness.estimate import median_of
from benches.harness.interleave import interleave
from benches.harness.report import Figure, Report
from benches.records import Shipment

_DISTRIBUTIONS: Final = ("deepdiff", "intelgraph-gateway", "jsondiff")
_BATCH: Final = 512


def run(*, quick: bool) -> Report:
    """Measures all arms, 5 rounds of 1 s each if `quick`, else 9 of 3 s."""
    rounds, seconds = (5, 1.0) if quick else (9, 3.0)
    environment = observe(_DISTRIBUTIONS)
    shipments = [Shipment(seed=0, index=index) for index in range(_BATCH)]
    pairs = [Pair(shipment.document(), shipment.next().document()) for shipment in shipments]
    arms = [
        BatchArm("jsondiff", partial(jsondiff_batch, pairs), _BATCH, seconds),
        BatchArm("deepdiff", partial(deepdiff_batch, pairs), _BATCH, seconds),
    ]
    series = interleave(arms, rounds)
    figures = tuple(
        Figure(f"{arm.name}_per_core_second", median_of(arm, lambda sample: sample.per_core_second))
        for arm in series
    )
    return Report(
        "temporal", "Diffs, 3 of 20 fields changed, in batches of 512", environment, series, figures
    )
