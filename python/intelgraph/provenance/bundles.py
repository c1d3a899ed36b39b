"""Entry bundles of the log directory (C2SP tlog-tiles): 256 leaves to a file, the last one partial."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from intelgraph._core import CoreError, bundle_commitments, bundle_entries, leaf

if TYPE_CHECKING:
    from intelgraph.provenance.log_directory import LogDirectory

BUNDLE_ENTRIES: Final = 256
COMMITMENTS_BYTES: Final = 64
"""Of one entry: 32 bytes for its header, 32 for its payload."""


def bundle_path(first: int, size: int | None = None) -> str:
    """The path of the bundle that begins with this index: of the full one, or of that in a log of this size."""
    partial = size is not None and size < first + BUNDLE_ENTRIES
    return _tile_path("entries", first // BUNDLE_ENTRIES, (size or 0) - first if partial else 0)


def paths_of_log(size: int) -> Iterator[str]:
    """Every tile and bundle that a log of that size is read by: no more, and each once (C2SP tlog-tiles)."""
    yield from _paths_of_level("entries", size)
    level, hashes = 0, size
    while hashes:
        yield from _paths_of_level(str(level), hashes)
        level, hashes = level + 1, hashes // BUNDLE_ENTRIES


def _paths_of_level(level: str, hashes: int) -> Iterator[str]:
    full, width = divmod(hashes, BUNDLE_ENTRIES)
    for number in range(full):
        yield _tile_path(level, number, 0)
    if width:
        yield _tile_path(level, full, width)


def _tile_path(level: str, number: int, width: int) -> str:
    digits = str(number)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join(["tile", level, *(f"x{group}" for group in groups[:-1]), groups[-1]])
    return f"{path}.p/{width}" if width else path


def read_bundle(directory: "LogDirectory", first: int) -> Sequence[bytes]:
    """The leaves of the bundle that begins with this index: of the full one, or of the widest partial one; none where
    neither can be read. Blocks.
    """
    content = _widest(directory, first)
    try:
        return bundle_entries(content) if content is not None else []
    except CoreError:
        return []


def read_commitments(directory: "LogDirectory", first: int, size: int) -> bytes:
    """The commitments, 64 bytes each, of the entries of the bundle that begins with this index, as far as a log of
    that size goes; fewer, or none, where they cannot be read. Blocks.
    """
    content = directory.read(bundle_path(first, size))
    if content is None:
        content = _widest(directory, first)
    try:
        commitments = bundle_commitments(content) if content is not None else b""
    except CoreError:
        return b""
    return commitments[: (size - first) * COMMITMENTS_BYTES]


def _widest(directory: "LogDirectory", first: int) -> bytes | None:
    content = directory.read(bundle_path(first))
    for width in range(BUNDLE_ENTRIES - 1, 0, -1) if content is None else ():
        content = directory.read(bundle_path(first, first + width))
        if content is not None:
            break
    return content


def leaves(commitments: bytes) -> Sequence[bytes]:
    """The leaves of entries with these commitments, 64 bytes each."""
    return [
        leaf(commitments[at : at + 32], commitments[at + 32 : at + 64])
        for at in range(0, len(commitments), COMMITMENTS_BYTES)
    ]
