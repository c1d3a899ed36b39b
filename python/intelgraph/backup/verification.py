"""Whether a bundle is as it was written, and the log in it what was signed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from intelgraph._core import CoreError, TileWriter, bundle_commitments, open_checkpoint
from intelgraph.backup.bundle import Bundle, Fault, Progress
from intelgraph.backup.taking import CHECKPOINT, DUMP, KEYRING, KEYRING_KEY, LEDGER
from intelgraph.provenance.bundles import BUNDLE_ENTRIES, bundle_path, paths_of_log

if TYPE_CHECKING:
    from intelgraph.backup.manifest import Manifest

_PAGE_BUNDLES: Final = 256


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found."""

    path: Path
    digest: str
    manifest: "Manifest"
    faults: Sequence[Fault]


def verified(path: Path, progress: Progress) -> tuple[Bundle, Verdict]:
    """Reads all of a bundle. Raises NotFound BACKUP_NOT_FOUND, and DataLoss BACKUP_DAMAGED for a file that is none."""
    bundle = Bundle.open(path)
    faults, digest = bundle.verify(progress)
    if not faults:
        faults = [*_contents(bundle), *_log(bundle)]
    return bundle, Verdict(path, digest, bundle.manifest, faults)


def _contents(bundle: Bundle) -> Iterator[Fault]:
    """The files that have to be there are, and no others."""
    size = bundle.manifest.checkpoint_size
    wanted = {DUMP, KEYRING}
    if size:
        wanted |= {CHECKPOINT, *(f"{LEDGER}{path}" for path in paths_of_log(size))}
    found = {each.path for each in bundle.manifest.files}
    yield from (Fault(path, "is missing") for path in sorted(wanted - found))
    yield from (
        Fault(path, "does not belong into a backup") for path in sorted(found - wanted - {KEYRING_KEY})
    )


def _log(bundle: Bundle) -> Iterator[Fault]:
    """The tiles are those of the checkpoint, and its log signed it. Every tile is recomputed from the entries."""
    size = bundle.manifest.checkpoint_size
    note = bundle.read(CHECKPOINT)
    if not size or note is None:
        return
    try:
        _, signed_size, root, _ = open_checkpoint(note, bundle.manifest.verifier_keys)
    except CoreError as error:
        yield Fault(CHECKPOINT, error.args[0])
        return
    if signed_size != size:
        yield Fault(CHECKPOINT, f"is of {signed_size:,} entries, and the manifest says {size:,}")
        return
    edge = TileWriter.empty()
    while edge.size < size:
        before = edge.size
        try:
            page = b"".join(_commitments(bundle, before, size))
        except CoreError as error:
            yield Fault(f"{LEDGER}{bundle_path(before, size)}", f"or one after it: {error.args[0]}")
            return
        for path, content in edge.append_commitments(page):
            place = f"{LEDGER}{path}"
            if bundle.holds(place) and bundle.read(place) != content:
                yield Fault(place, "is not the tile of these entries")
        if edge.size == before:
            yield Fault(CHECKPOINT, f"covers {size:,} entries, and there are {before:,}")
            return
    if edge.root != root:
        yield Fault(CHECKPOINT, "was not signed for these entries")


def _commitments(bundle: Bundle, first: int, size: int) -> Iterator[bytes]:
    """Those of a page of entries from an index on."""
    for at in range(first, min(first + _PAGE_BUNDLES * BUNDLE_ENTRIES, size), BUNDLE_ENTRIES):
        yield bundle_commitments(bundle.read(f"{LEDGER}{bundle_path(at, size)}") or b"")
