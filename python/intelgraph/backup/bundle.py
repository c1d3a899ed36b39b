"""The file of a backup: an uncompressed tar without anything that depends on when or where it was written.

`manifest.json` first, the files in the order of the manifest, `manifest.sha256` last. Every byte is determined by the
manifest and the files: headers are compared with those that would be written, never interpreted, and nothing is
extracted by name. So a bundle is either exactly one that was written here, or refused.
"""

import contextlib
import hashlib
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self

from intelgraph.backup.manifest import FileEntry, Manifest
from intelgraph.errors import AlreadyExists, DataLoss, FieldViolation, NotFound

MANIFEST: Final = "manifest.json"
SEAL: Final = "manifest.sha256"
CHUNK: Final = 1 << 20
LARGEST_MANIFEST: Final = 256 << 20
"""Bytes; a log of a billion entries has half as long a list of tiles."""

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is to be in a bundle: from the disk, or from memory."""

    path: str
    content: Path | bytes

    @contextlib.contextmanager
    def opened(self) -> Iterator[Iterator[bytes]]:
        """Its bytes, chunk by chunk."""
        if isinstance(self.content, bytes):
            yield iter([self.content])
            return
        with self.content.open("rb") as file:
            yield iter(lambda: file.read(CHUNK), b"")

    def entry(self) -> FileEntry:
        """It as the manifest names it. Reads it once."""
        digest, size = hashlib.sha256(), 0
        with self.opened() as chunks:
            for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
        return FileEntry(self.path, size, digest.hexdigest())


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in a bundle that is not as it was written."""

    path: str
    what: str


def write_bundle(target: Path, manifest: Manifest, sources: Sequence[Source], progress: Progress) -> str:
    """Writes the bundle under a name of its own, reads it back, and only then gives it its name. Its digest, SHA-256.

    Raises AlreadyExists BACKUP_EXISTS, DataLoss BACKUP_DAMAGED where a file changed meanwhile, and OSError.
    """
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _write(file, manifest, sources, progress)
            file.flush()
            os.fsync(file.fileno())
        bundle = Bundle.open(scratch)
        faults, digest = bundle.verify(lambda *_: None)
        if faults:
            raise damaged(target, faults)
        try:
            os.link(scratch, target)
        except FileExistsError:
            raise exists(target) from None
        sync_directory(target.parent)
    finally:
        scratch.unlink(missing_ok=True)
    return digest


def _write(file: BinaryIO, manifest: Manifest, sources: Sequence[Source], progress: Progress) -> None:
    encoded = manifest.encoded()
    total, done = sum(each.size for each in manifest.files), 0
    _put(file, MANIFEST, encoded)
    for source, entry in zip(sources, manifest.files, strict=True):
        file.write(_header(entry.path, entry.size))
        with source.opened() as chunks:
            for chunk in chunks:
                file.write(chunk)
                done += len(chunk)
                progress(done, total)
        file.write(_padding(entry.size))
    _put(file, SEAL, _seal(encoded))
    file.write(_END)


def _put(file: BinaryIO, path: str, content: bytes) -> None:
    file.write(_header(path, len(content)) + content + _padding(len(content)))


class Bundle:
    """A bundle on disk, whose manifest was read. `verify` says whether the rest is as the manifest says."""

    def __init__(self, path: Path, encoded: bytes, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._encoded = encoded
        self._places: dict[str, tuple[int, FileEntry]] = {}
        at = len(_header(MANIFEST, len(encoded))) + len(encoded) + len(_padding(len(encoded)))
        for entry in manifest.files:
            at += len(_header(entry.path, entry.size))
            self._places[entry.path] = (at, entry)
            at += entry.size + len(_padding(entry.size))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises NotFound BACKUP_NOT_FOUND, and DataLoss BACKUP_DAMAGED for a file that is no bundle."""
        try:
            with path.open("rb") as file:
                info = tarfile.TarInfo.frombuf(file.read(tarfile.BLOCKSIZE), "ascii", "strict")
                if info.name != MANIFEST or info.size > LARGEST_MANIFEST:
                    raise damaged(path, [Fault(MANIFEST, "does not stand at its beginning")])
                encoded = file.read(info.size)
        except FileNotFoundError:
            raise NotFound(
                "BACKUP_NOT_FOUND", f"there is no file {path}", fix="name a file that `backup` wrote"
            ) from None
        except (tarfile.HeaderError, IsADirectoryError, UnicodeDecodeError):
            raise damaged(path, [Fault(MANIFEST, "does not stand at its beginning")]) from None
        try:
            manifest = Manifest.decoded(encoded)
        except (ValueError, TypeError, KeyError) as error:
            raise damaged(path, [Fault(MANIFEST, f"cannot be read: {error}")]) from None
        return cls(path, encoded, manifest)

    def holds(self, path: str) -> bool:
        """Whether there is a file of that name."""
        return path in self._places

    def below(self, prefix: str) -> Iterator[str]:
        """Names of the files that begin so."""
        return (path for path in self._places if path.startswith(prefix))

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None if there is no such file."""
        if path not in self._places:
            return None
        return b"".join(self.chunks(path))

    def chunks(self, path: str) -> Iterator[bytes]:
        """A file's bytes, piece by piece."""
        at, entry = self._places[path]
        with self.path.open("rb") as file:
            file.seek(at)
            yield from _pieces(file, entry.size)

    def verify(self, progress: Progress) -> tuple[Sequence[Fault], str]:
        """Everything that is not as it was written; and the digest of the whole, SHA-256. Reads it once."""
        with self.path.open("rb") as file:
            reading = _Reading(file, self.path.stat().st_size, progress)
            reading.expect_file(MANIFEST, self._encoded)
            for entry in self.manifest.files:
                reading.expect_entry(entry)
            reading.expect_file(SEAL, _seal(self._encoded))
            reading.expect_end()
        return reading.faults, reading.whole.hexdigest()


class _Reading:
    """Reads a bundle from its beginning to its end, and notes what is not as it was written."""

    def __init__(self, file: BinaryIO, total: int, progress: Progress) -> None:
        self._file = file
        self._total = total
        self._progress = progress
        self._done = 0
        self.whole = hashlib.sha256()
        self.faults: list[Fault] = []

    def expect_file(self, path: str, content: bytes) -> None:
        """A file with exactly this content."""
        self._expect(_header(path, len(content)), path, "its header was altered")
        self._expect(content, path, "was altered")
        self._expect(_padding(len(content)), path, "what follows it was altered")

    def expect_entry(self, entry: FileEntry) -> None:
        """A file that the manifest names."""
        self._expect(_header(entry.path, entry.size), entry.path, "its header was altered")
        digest, left = hashlib.sha256(), entry.size
        while left and (chunk := self._take(min(CHUNK, left))):
            digest.update(chunk)
            left -= len(chunk)
        if left:
            self.faults.append(Fault(entry.path, f"is cut short by {left:,} bytes"))
        elif digest.hexdigest() != entry.sha256:
            self.faults.append(Fault(entry.path, "was altered"))
        self._expect(_padding(entry.size), entry.path, "what follows it was altered")

    def expect_end(self) -> None:
        """The end of the bundle, and nothing behind it."""
        self._expect(_END, SEAL, "the end of the bundle was altered")
        if self._take(1):
            self.faults.append(Fault(SEAL, "the bundle goes on behind its end"))
        while self._take(CHUNK):
            pass

    def _expect(self, content: bytes, path: str, what: str) -> None:
        if self._take(len(content)) != content:
            self.faults.append(Fault(path, what))

    def _take(self, size: int) -> bytes:
        content = self._file.read(size)
        self.whole.update(content)
        self._done += len(content)
        self._progress(self._done, self._total)
        return content


def damaged(path: Path, faults: Sequence[Fault]) -> DataLoss:
    """The refusal of a bundle that is not as it was written."""
    return DataLoss(
        "BACKUP_DAMAGED",
        f"{path} is not a backup as it was written",
        fix="take another copy of it, or another backup",
        violations=tuple(FieldViolation(f"/{each.path}", each.what) for each in faults),
    )


def exists(path: Path) -> AlreadyExists:
    """The refusal to write over a file."""
    return AlreadyExists("BACKUP_EXISTS", f"{path} exists", fix="name a file that does not exist yet")


def sync_directory(directory: Path) -> None:
    """Puts the names in it on disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_END: Final = bytes(2 * tarfile.BLOCKSIZE)


def _header(path: str, size: int) -> bytes:
    """What tar writes before a file; all that could differ between two hosts is nought."""
    info = tarfile.TarInfo(path)
    info.size = size
    info.mode = 0o600
    return info.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


def _seal(encoded: bytes) -> bytes:
    return f"{hashlib.sha256(encoded).hexdigest()}  {MANIFEST}\n".encode()


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size and (chunk := file.read(min(CHUNK, size))):
        size -= len(chunk)
        yield chunk
