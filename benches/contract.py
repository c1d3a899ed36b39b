"""Validation of 1 KiB records from bytes to verdict, in batches of 512."""

from functools import partial
from typing import Final

from benches.baselines.contract import OrjsonJsonschemaRs
from benches.harness.batch_arm import BatchArm
from benches.harness.environment import observe
from benches.harness.estimate import median_of
from benches.harness.interleave import interleave
from benches.harness.report import Figure, Report
from benches.records import Shipment, schema

_DISTRIBUTIONS: Final = ("intelgraph-gateway", "jsonschema_rs", "orjson")
_BATCH: Final = 512


def run(*, quick: bool) -> Report:
    """Measures all arms, 5 rounds of 1 s each if `quick`, else 9 of 3 s."""
    rounds, seconds = (5, 1.0) if quick else (9, 3.0)
    environment = observe(_DISTRIBUTIONS)
    records = [Shipment(seed=0, index=index).encode() for index in range(_BATCH)]
    peer = OrjsonJsonschemaRs(schema())
    _check(peer, records)
    arms = [BatchArm("jsonschema_rs_orjson", partial(peer.verdicts, records), _BATCH, seconds)]
    series = interleave(arms, rounds)
    figures = tuple(
        Figure(f"{arm.name}_per_core_second", median_of(arm, lambda sample: sample.per_core_second))
        for arm in series
    )
    return Report("contract", "Validation of 1 KiB records in batches of 512", environment, series, figures)


def _check(peer: OrjsonJsonschemaRs, records: list[bytes]) -> None:
    """Asks for verdicts on good records and on one without its key, so that no arm is timed that lets all
    pass.

    Raises:
        RuntimeError: if a verdict is wrong.
    """
    without_key = records[0].replace(b'"shipment_id"', b'"shipment"', 1)
    if peer.verdicts([*records, without_key]) != [True] * len(records) + [False]:
        raise RuntimeError("the peer's verdicts are wrong")
