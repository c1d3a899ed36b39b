"""Diffs between two versions of a record of which 3 of 20 fields change, in batches of 512."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Final

import orjson

from benches.baselines.temporal import Pair, deepdiff_batch, jsondiff_batch
from benches.diff_program import DiffProgram, build_diff_program
from benches.harness.batch_arm import BatchArm
from benches.harness.environment import observe
from benches.harness.estimate import median_of, ratio_of
from benches.harness.interleave import interleave
from benches.harness.report import Figure, Report, Target
from benches.harness.sample import Arm, Sample
from benches.records import Shipment, contract_document
from benches.tenant_keys import SealingTenant
from benches.wire import batch_body, batch_frame
from intelgraph._core import Contract, Engine, Group, Keystore, Prepared, Stream
from intelgraph.ingest.settings import IngestSettings

_DISTRIBUTIONS: Final = ("deepdiff", "intelgraph-gateway", "jsondiff")
_BATCH: Final = 512


def run(*, quick: bool) -> Report:
    """Measures all arms, 5 rounds of 1 s each if `quick`, else 9 of 3 s."""
    rounds, seconds = (5, 1.0) if quick else (9, 3.0)
    environment = observe(_DISTRIBUTIONS)
    shipments = [Shipment(seed=0, index=index) for index in range(_BATCH)]
    pairs = [Pair(shipment.document(), shipment.next().document()) for shipment in shipments]
    program = build_diff_program()
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as file:
        file.writelines(orjson.dumps(document) + b"\n" for pair in pairs for document in pair)
        file.flush()
        arms: list[Arm] = [
            DiffProgram("gateway", program, Path(file.name), seconds),
            BatchArm("gateway_stage", _DiffStage(pairs).diff, _BATCH, seconds),
            BatchArm("jsondiff", partial(jsondiff_batch, pairs), _BATCH, seconds),
            BatchArm("deepdiff", partial(deepdiff_batch, pairs), _BATCH, seconds),
        ]
        gateway, stage, jsondiff, deepdiff = series = interleave(arms, rounds)
    figures = (
        Figure("vs_jsondiff", ratio_of(gateway, jsondiff, _per_core_second), Target(75)),
        Figure("vs_deepdiff", ratio_of(gateway, deepdiff, _per_core_second)),
        Figure("stage_vs_jsondiff", ratio_of(stage, jsondiff, _per_core_second)),
        *(Figure(f"{arm.name}_per_core_second", median_of(arm, _per_core_second)) for arm in series),
    )
    return Report(
        "temporal", "Diffs, 3 of 20 fields changed, in batches of 512", environment, series, figures
    )


class _DiffStage:
    """The core's whole diff stage, called from Python on records that are parsed already.

    Beside the diff it finds each record's head, commits to the diff, seals it and writes the row.
    """

    def __init__(self, pairs: list[Pair]) -> None:
        """Makes the old versions the heads, and parses the new ones."""
        limits = IngestSettings()
        keystore = Keystore()
        self._tenant = SealingTenant(keystore)
        self._engine = Engine(
            keystore,
            cache_bytes=limits.heads_cache_bytes,
            max_record_bytes=limits.max_record_bytes,
            max_depth=limits.max_depth,
            max_batch_records=limits.max_batch_records,
        )
        self._engine.activate(self._tenant.tenant_id, 0, 100)
        contract = Contract.compile(orjson.dumps(contract_document("bench")))
        self._stream = Stream(
            self._tenant.tenant_id, stream_no=1, dataset_id=1, contract_id=1, contract=contract
        )
        old, new = (
            self._prepare(sequence, [orjson.dumps(pair[sequence - 1]) for pair in pairs])
            for sequence in (1, 2)
        )
        self._batch = old
        heads = self.diff()
        bound = heads.bind(0, 0, 1, b"", b"")
        self._engine.commit(heads, bound)
        self._batch = new
        changed = self.diff().bind(bound.seq, bound.recorded_us, 2, bound.frontier, b"")
        if changed.seq != 2 * len(pairs):
            raise RuntimeError("not every record differs from its head")

    def diff(self) -> Group:
        """Diffs the batch on the committed heads, whatever was diffed before."""
        self._tenant.make_ready(_BATCH)
        self._engine.abort(self._tenant.tenant_id)
        group = self._engine.diff(self._tenant.tenant_id, [self._batch])
        assert isinstance(group, Group)
        return group

    def _prepare(self, sequence: int, documents: list[bytes]) -> Prepared:
        return self._engine.prepare(self._stream, batch_frame(sequence, batch_body(documents)), 1)


def _per_core_second(sample: Sample) -> float:
    return sample.per_core_second
