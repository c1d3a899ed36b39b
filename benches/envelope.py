"""Sealing of 1 KiB values, called from Python in batches of 512."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from benches.baselines.envelope import EsdkSealer, Sealable, Sealer, TinkSealer
from benches.harness.batch_arm import BatchArm
from benches.harness.environment import observe
from benches.harness.estimate import median_of
from benches.harness.interleave import interleave
from benches.harness.report import Figure, Report
from benches.records import DATASET, Shipment

_DISTRIBUTIONS: Final = ("aws-encryption-sdk", "cryptography", "intelgraph-gateway", "tink")
_TENANT: Final = "bench"
_BATCH: Final = 512
_PLAINTEXT_BYTES: Final = 1024


def run(*, quick: bool) -> Report:
    """Measures all arms, 5 rounds of 1 s each if `quick`, else 9 of 3 s."""
    rounds, seconds = (5, 1.0) if quick else (9, 3.0)
    environment = observe(_DISTRIBUTIONS)
    values = _values()
    sealers: dict[str, Sealer] = {"aws_esdk": EsdkSealer(_TENANT), "tink": TinkSealer()}
    for name, sealer in sealers.items():
        _check(name, sealer, values)
    arms = [BatchArm(name, partial(sealer.seal, values), _BATCH, seconds) for name, sealer in sealers.items()]
    series = interleave(arms, rounds)
    figures = tuple(
        Figure(f"{arm.name}_per_core_second", median_of(arm, lambda sample: sample.per_core_second))
        for arm in series
    )
    return Report("envelope", "Sealing of 1 KiB values in batches of 512", environment, series, figures)


def _values() -> list[Sealable]:
    """A batch of records padded to 1 KiB, each bound to an entity of its own."""
    records = (Shipment(seed=0, index=index).encode() for index in range(_BATCH))
    return [
        Sealable(record.ljust(_PLAINTEXT_BYTES), f"{_TENANT}|{DATASET}|{index:036}|diff|1".encode())
        for index, record in enumerate(records)
    ]


def _check(name: str, sealer: Sealer, values: Sequence[Sealable]) -> None:
    """Seals and opens once, so that no arm is timed that does not work.

    Raises:
        RuntimeError: if what was sealed does not come back.
    """
    opened = sealer.open(sealer.seal(values), values)
    if opened != [value.plaintext for value in values]:
        raise RuntimeError(f"{name} does not open what it sealed")
