"""Sealing of 1 KiB values, called from Python in batches of 128."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from benches.baselines.envelope import EsdkSealer, Sealable, Sealer, TinkSealer
from benches.harness.batch_arm import BatchArm
from benches.harness.environment import observe
from benches.harness.estimate import median_of, ratio_of
from benches.harness.interleave import interleave
from benches.harness.report import Figure, Report, Target
from benches.harness.sample import Sample
from benches.records import DATASET, Shipment
from benches.tenant_keys import SealingTenant
from intelgraph._core import Keystore, MessagesToOpen, MessagesToSeal
from intelgraph.gateway.v1 import envelope_pb2

_DISTRIBUTIONS: Final = ("aws-encryption-sdk", "cryptography", "intelgraph-gateway", "tink")
_TENANT: Final = "bench"
_CONTEXT: Final = f"{_TENANT}|{DATASET}|diff".encode()
_BATCH: Final = 128
"""Messages of a batch. With four times as many, glibc gives each buffer back to the kernel and asks for it again, and
the page faults of that cost more than the sealing."""
_PLAINTEXT_BYTES: Final = 1024


def run(*, quick: bool) -> Report:
    """Measures all arms, 5 rounds of 1 s each if `quick`, else 9 of 3 s."""
    rounds, seconds = (5, 1.0) if quick else (9, 3.0)
    environment = observe(_DISTRIBUTIONS)
    values = _values()
    sealers: dict[str, Sealer] = {
        "gateway": GatewaySealer(),
        "tink": TinkSealer(),
        "aws_esdk": EsdkSealer(_TENANT),
    }
    for name, sealer in sealers.items():
        _check(name, sealer, values)
    arms = [BatchArm(name, partial(sealer.seal, values), _BATCH, seconds) for name, sealer in sealers.items()]
    gateway, tink, aws_esdk = series = interleave(arms, rounds)
    figures = (
        Figure("vs_tink", ratio_of(gateway, tink, _per_core_second), Target(2)),
        Figure("vs_aws_esdk", ratio_of(gateway, aws_esdk, _per_core_second), Target(100)),
        *(Figure(f"{arm.name}_per_core_second", median_of(arm, _per_core_second)) for arm in series),
    )
    return Report("envelope", "Sealing of 1 KiB values in batches of 128", environment, series, figures)


class GatewaySealer:
    """What `EnvelopeService` does with a batch, with the request made from values and the response taken apart to
    values, as a peer that has no wire gets and gives them."""

    def __init__(self) -> None:
        self._tenant = SealingTenant(Keystore())

    def seal(self, values: Sequence[Sealable]) -> list[bytes]:
        """One call into the core for the batch. The batch is bound to one context: EnvelopeService has one for all
        of its messages."""
        tenant = self._tenant
        tenant.make_ready(len(values))
        plaintexts = [value.plaintext for value in values]
        request = envelope_pb2.EncryptRequest(context=_CONTEXT, plaintexts=plaintexts)
        messages = MessagesToSeal.decode(request.SerializeToString())
        response = messages.seal(messages.reserve(tenant.keystore, tenant.tenant_id))
        return list(envelope_pb2.EncryptResponse.FromString(response).envelopes)

    def open(self, sealed: Sequence[bytes], values: Sequence[Sealable]) -> list[bytes]:
        """Reverses `seal`; what does not open gives nothing."""
        del values
        request = envelope_pb2.DecryptRequest(context=_CONTEXT, envelopes=sealed)
        messages = MessagesToOpen.decode(request.SerializeToString())
        response = messages.open(self._tenant.keystore, self._tenant.tenant_id)
        return [result.plaintext for result in envelope_pb2.DecryptResponse.FromString(response).results]


def _per_core_second(sample: Sample) -> float:
    return sample.per_core_second


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
