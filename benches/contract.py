"""Validation of 1 KiB records from bytes to verdict, in batches of 512."""

import time
from functools import partial
from typing import Final

import orjson

from benches.baselines.contract import OrjsonJsonschemaRs
from benches.harness.batch_arm import BatchArm
from benches.harness.environment import observe
from benches.harness.estimate import median_of, ratio_of
from benches.harness.interleave import interleave
from benches.harness.report import Figure, Report, Target
from benches.harness.sample import Sample
from benches.records import Shipment, contract_document, schema
from intelgraph._core import Contract

_DISTRIBUTIONS: Final = ("intelgraph-gateway", "jsonschema_rs", "orjson")
_BATCH: Final = 512


def run(*, quick: bool) -> Report:
    """Measures all arms, 5 rounds of 1 s each if `quick`, else 9 of 3 s."""
    rounds, seconds = (5, 1.0) if quick else (9, 3.0)
    environment = observe(_DISTRIBUTIONS)
    records = [Shipment(seed=0, index=index).encode() for index in range(_BATCH)]
    contract, peer = Contract.compile(orjson.dumps(contract_document("bench"))), OrjsonJsonschemaRs(schema())
    _check(contract, peer, records)
    arms = [
        BatchArm("gateway", partial(_validate, contract, records), _BATCH, seconds),
        BatchArm("jsonschema_rs_orjson", partial(peer.verdicts, records), _BATCH, seconds),
    ]
    gateway, peers = series = interleave(arms, rounds)
    figures = (
        Figure("vs_jsonschema_rs_orjson", ratio_of(gateway, peers, _per_core_second), Target(3.5)),
        *(Figure(f"{arm.name}_per_core_second", median_of(arm, _per_core_second)) for arm in series),
    )
    return Report("contract", "Validation of 1 KiB records in batches of 512", environment, series, figures)


def _validate(contract: Contract, records: list[bytes]) -> tuple[int, int, bytes]:
    """What `ContractService.Validate` does with a batch: every field, the entity key and the event time, and a report
    on what breaks the contract."""
    return contract.validate(records, time.time_ns() // 1000)


def _per_core_second(sample: Sample) -> float:
    return sample.per_core_second


def _check(contract: Contract, peer: OrjsonJsonschemaRs, records: list[bytes]) -> None:
    """Asks for verdicts on good records and on some that break a rule, so that no arm is timed that lets all
    pass.

    Raises:
        RuntimeError: if a verdict is wrong.
    """
    bad = [
        records[0].replace(b'"shipment_id"', b'"shipment"', 1),
        records[0].replace(b'"currency":"', b'"currency":"x', 1),
        records[0].replace(b'"booked_at":"2', b'"booked_at":"x', 1),
        records[0].replace(b'"kind":"PAL', b'"kind":"pal', 1),
    ]
    if peer.verdicts([*records, *bad]) != [True] * len(records) + [False] * len(bad):
        raise RuntimeError("the peer's verdicts are wrong")
    if _validate(contract, [*records, *bad])[:2] != (len(records), len(bad)):
        raise RuntimeError("the gateway's verdicts are wrong")
