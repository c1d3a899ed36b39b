"""What a backup says about itself, before anything else in it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

FORMAT: Final = "intelgraph-backup/1"
_FIELDS: Final = frozenset(
    {
        *("format", "taken_us", "version", "server_version", "migrations", "settings", "origin", "log_size"),
        *("log_root", "checkpoint_size", "verifier_keys", "files"),
    }
)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of the bundle."""

    path: str
    size: int
    sha256: str
    """Hexadecimal."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files, in the order in which they follow, and what they hold."""

    taken_us: int
    """The database's time, microseconds since the epoch."""
    version: str
    """Of the gateway."""
    server_version: int
    """`server_version_num` of PostgreSQL."""
    migrations: Sequence[str]
    settings: str
    """Digest of the gateway's settings."""
    origin: str
    """The ledger, with its size and root as the database of the backup has it."""
    log_size: int
    log_root: str
    checkpoint_size: int
    """Of the signed checkpoint in the bundle, with its tiles; 0 where there is none."""
    verifier_keys: Sequence[str]
    """What verifies that checkpoint, as the gateway knew it."""
    files: Sequence[FileEntry]

    def encoded(self) -> bytes:
        """As JSON, in one form only."""
        document = {"format": FORMAT, **asdict(self)}
        return json.dumps(document, sort_keys=True, ensure_ascii=False, indent=1).encode() + b"\n"

    @classmethod
    def decoded(cls, content: bytes) -> Self:
        """Raises ValueError for what is not the manifest of a bundle that this gateway can read."""
        document = json.loads(content)
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        if document.keys() != _FIELDS:
            raise ValueError("it has other members than a manifest")
        document.pop("format")
        files = [_file(each) for each in _list(document.pop("files"))]
        if len({each.path for each in files}) != len(files):
            raise ValueError("it names a file twice")
        manifest = cls(**document, files=files)
        if manifest.encoded() != content:
            raise ValueError("it is not in the form in which manifests are written")
        return manifest


def _file(document: Mapping[str, Any]) -> FileEntry:
    entry = FileEntry(**document)
    if not isinstance(entry.size, int) or entry.size < 0 or len(bytes.fromhex(entry.sha256)) != 32:
        raise ValueError("a file in it has no size, or no digest")
    if not is_safe(entry.path):
        raise ValueError("a file in it has a path that leads elsewhere")
    return entry


def is_safe(path: str) -> bool:
    """Whether it is a relative path that stays below where it is put."""
    parts = path.split("/")
    return path.isascii() and path.isprintable() and all(part not in {"", ".", ".."} for part in parts)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("its files are not a list")  # noqa: TRY004 (whoever reads it asks for one exception)
    return value
