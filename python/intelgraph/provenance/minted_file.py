"""The file in which a token of the local issuer is written down before it is given out: `minted.jsonl`.

Whoever mints has no gateway to ask, so the line is the act, and a gateway on the data directory takes it into the
ledger. Nobody locks: a gateway moves the file away before it reads it, and whoever wrote a line looks afterwards
whether the file is still the one of that name, and writes the line once more if not. What is twice is entered once.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from uuid import UUID, uuid4

MINTED: Final = "minted.jsonl"
MALFORMED: Final = "minted.malformed"
"""Lines that are none, for a person to look at."""
_TAKEN: Final = "minted.*.taken"
_LATEST_US: Final = 253_402_300_800_000_000
"""The year 10000, which the database takes for a time."""
_TEXTS: Final = ("tenant", "holder", "by")


@dataclass(frozen=True, slots=True)
class MintedLine:
    """One token: for whom, until when, and which account minted it. Times in microseconds since the epoch."""

    token_id: UUID
    tenant: str
    holder: str
    roles: tuple[str, ...]
    minted_us: int
    expires_us: int
    by: str

    def encoded(self) -> bytes:
        """The line. The one before it may have been cut short by a full disk: so it begins with an end."""
        document = {name: getattr(self, name) for name in ("tenant", "holder", "roles", "by")} | {
            "token_id": str(self.token_id),
            "minted_us": self.minted_us,
            "expires_us": self.expires_us,
        }
        return b"\n" + json.dumps(document, sort_keys=True).encode() + b"\n"

    @classmethod
    def decoded(cls, line: bytes) -> Self:
        """Raises ValueError for what is not a line."""
        document: Any = json.loads(line)
        if not isinstance(document, Mapping):
            raise ValueError("it is not an object")  # noqa: TRY004 (whoever reads it asks for one exception)
        roles = document.get("roles")
        texts = [document.get(name) for name in (*_TEXTS, "token_id")]
        if not isinstance(roles, list) or not all(isinstance(each, str) for each in (*roles, *texts)):
            raise ValueError("a text is missing")
        tenant, holder, by, token_id = map(str, texts)
        minted_us, expires_us = _time(document.get("minted_us")), _time(document.get("expires_us"))
        return cls(UUID(token_id), tenant, holder, tuple(roles), minted_us, expires_us, by)


def _time(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < _LATEST_US:
        raise ValueError("a time is missing")
    return value


def record(directory: Path, line: MintedLine) -> None:
    """Returns when the line is on disk, in a file that no gateway has read yet. Raises OSError."""
    path, encoded = directory / MINTED, line.encoded()
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            owner = directory.stat()
            if os.geteuid() == 0 and owner.st_uid != 0:
                # The gateway, whose account has the directory, must be able to read it.
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            if os.write(descriptor, encoded) != len(encoded):
                raise OSError(None, "the disk is full", str(path))
            os.fsync(descriptor)
            _sync(directory)
            if _is(path, descriptor):
                return
        finally:
            os.close(descriptor)


def take_over(directory: Path) -> Sequence[Path]:
    """Moves the file away, so that nobody writes to it any more, and gives all that were moved away and are still
    there, those of a gateway that was killed among them. Blocks.
    """
    try:
        (directory / MINTED).rename(directory / f"minted.{uuid4().hex}.taken")
    except FileNotFoundError:
        pass
    else:
        _sync(directory)
    return sorted(directory.glob(_TAKEN))


def lines_of(taken: Path) -> tuple[Sequence[MintedLine], Sequence[bytes]]:
    """The lines of a file that was moved away, and what in it is none. Empty where another gateway was quicker."""
    good, malformed = [], []
    try:
        content = taken.read_bytes()
    except FileNotFoundError:
        return [], []
    for line in filter(None, content.split(b"\n")):
        try:
            good.append(MintedLine.decoded(line))
        except (ValueError, RecursionError):
            malformed.append(line)
    return good, malformed


def keep_malformed(directory: Path, lines: Sequence[bytes]) -> None:
    """Puts what is no line where a person finds it, on disk before the file that it came from goes."""
    descriptor = os.open(directory / MALFORMED, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(b"".join(line + b"\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())
    _sync(directory)


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
