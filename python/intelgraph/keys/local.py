"""The `local` KMS: KEKs in a sealed file beside the gateway, for development and air-gapped hosts.

It keeps keys from whoever gets the database, a backup of it or the disk it is on. It keeps nothing from
whoever reads both the keyring and what unlocks it; by default they are in one directory.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar
from uuid import UUID

from intelgraph._core import CoreError, LocalKeyring, Secret
from intelgraph.errors import FailedPrecondition, IntelGraphError, Unavailable
from intelgraph.keys.keyring_file import KeyringFile
from intelgraph.keys.private_file import exclusive
from intelgraph.keys.provider import (
    Denial,
    Denied,
    KekDescription,
    KekState,
    KeyFault,
    NotFound,
    Unauthentic,
    Unreachable,
    UnwrapRequest,
    Wrapped,
    WrapRequest,
)
from intelgraph.keys.unlocking import keyring_path, unlock_existing, unlock_new

if TYPE_CHECKING:
    from intelgraph.keys.settings import LocalKeyringSettings

T = TypeVar("T")

RETRY_SECONDS: Final = 1.0

_FAULTS: Final[dict[str, Callable[[str], KeyFault]]] = {
    "KEK_UNKNOWN": NotFound,
    "KEK_DISABLED": lambda message: Denied(message, Denial.DISABLED),
    "KEK_DESTROYED": lambda message: Denied(message, Denial.DESTROYED),
    "WRAPPED_KEY_MALFORMED": Unauthentic,
    "WRAPPED_KEY_NOT_AUTHENTIC": Unauthentic,
}


class LocalProvider:
    """A `KeyProvider` over a keyring file. Every call checks whether another process changed the file."""

    name: Final = "local"

    def __init__(self, keyring: KeyringFile) -> None:
        self._keyring = keyring

    @property
    def keyring(self) -> KeyringFile:
        """The keyring that it uses."""
        return self._keyring

    @classmethod
    async def open(cls, settings: "LocalKeyringSettings", directory: Path, *, may_make: bool = True) -> Self:
        """Opens the keyring; `directory` is the data directory's `keys`. Where there is none, makes it, or
        refuses with KEYRING_MISSING unless it `may_make` one.

        Raises FailedPrecondition with a reason that begins with KEYRING, Unavailable KEYRING_BUSY.
        """
        return cls(await asyncio.to_thread(_opened, settings, directory, may_make))

    async def provision(self, tenant_id: UUID) -> KeyFault | None:
        """Makes the tenant's KEK, unless there is one, whatever its state."""
        return await self._answer(lambda: self._provision(tenant_id))

    async def wrap(self, requests: Sequence[WrapRequest]) -> Sequence[Wrapped | KeyFault]:
        """Wraps under each tenant's newest KEK version. An older one never steps in for it."""
        return _each(await self._answer(lambda: self._wrap(requests)), requests)

    async def unwrap(self, requests: Sequence[UnwrapRequest]) -> Sequence[Secret | KeyFault]:
        """Unwraps under the KEK version that each wrapped key names itself."""
        return _each(await self._answer(lambda: self._unwrap(requests)), requests)

    async def describe(self, tenant_id: UUID) -> KekDescription | KeyFault:
        """The newest version of the tenant's KEK."""
        return await self._answer(lambda: self._describe(tenant_id))

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _answer(self, work: Callable[[], T]) -> T | KeyFault:
        """Runs `work` where it may block. A file that cannot be used is a KMS that cannot be reached."""
        try:
            return await asyncio.to_thread(work)
        except IntelGraphError as error:
            return Unreachable(str(error), RETRY_SECONDS)
        except OSError as error:
            return Unreachable(f"the keyring file cannot be used ({error.strerror})", RETRY_SECONDS)

    def _provision(self, tenant_id: UUID) -> None:
        with self._keyring.reading() as keyring:
            if keyring.versions(tenant_id.bytes):
                return
        with self._keyring.changing() as keyring:
            if not keyring.versions(tenant_id.bytes):
                keyring.create_kek(tenant_id.bytes, time.time_ns() // 1000)

    def _wrap(self, requests: Sequence[WrapRequest]) -> list[Wrapped | KeyFault]:
        with self._keyring.reading() as keyring:
            return [_caught(partial(_wrapped, keyring, each)) for each in requests]

    def _unwrap(self, requests: Sequence[UnwrapRequest]) -> list[Secret | KeyFault]:
        with self._keyring.reading() as keyring:
            return [_caught(partial(_unwrapped, keyring, each)) for each in requests]

    def _describe(self, tenant_id: UUID) -> KekDescription | KeyFault:
        with self._keyring.reading() as keyring:
            versions = keyring.versions(tenant_id.bytes)
        if not versions:
            return NotFound("the keyring holds no key for this tenant")
        newest = versions[-1]
        return KekDescription(_kek_id(tenant_id), str(newest.number), KekState(newest.state))


def _opened(settings: "LocalKeyringSettings", directory: Path, may_make: bool) -> KeyringFile:
    path = keyring_path(settings, directory)
    try:
        for needed in (directory, path.parent):
            needed.mkdir(mode=0o700, parents=True, exist_ok=True)
        with exclusive(path):
            if path.exists():
                unlock = unlock_existing(settings, directory)
            elif not may_make:
                raise FailedPrecondition(
                    "KEYRING_MISSING",
                    f"{path} does not exist, and the keys of tenants in the database are wrapped with it",
                    fix="restore the keyring and what unlocks it from a backup, or set keys.local.path to where"
                    " it is: nothing else opens what is stored",
                )
            else:
                unlock = unlock_new(settings, directory)
                KeyringFile.create(path, unlock)
        keyring = KeyringFile(path, unlock)
        with keyring.reading():
            return keyring
    except OSError as error:
        raise Unavailable(
            "KEYRING_UNAVAILABLE",
            f"{path} cannot be used ({error.strerror})",
            fix="see whether its disk is there and the gateway's account may write it",
            retry_after=RETRY_SECONDS,
        ) from error


def _wrapped(keyring: LocalKeyring, request: WrapRequest) -> Wrapped:
    tenant_id = request.context.tenant_id
    wrapped = keyring.wrap(tenant_id.bytes, request.context.key_id.bytes, request.secret)
    return Wrapped(wrapped, _kek_id(tenant_id), str(keyring.versions(tenant_id.bytes)[-1].number))


def _unwrapped(keyring: LocalKeyring, request: UnwrapRequest) -> Secret:
    context = request.context
    return keyring.unwrap(context.tenant_id.bytes, context.key_id.bytes, request.wrapped.wrapped)


def _kek_id(tenant_id: UUID) -> str:
    return f"local:{tenant_id}"


def _caught(work: Callable[[], T]) -> T | KeyFault:
    try:
        return work()
    except CoreError as error:
        message, reason = error.args[:2]
        if reason not in _FAULTS:
            raise
        return _FAULTS[reason](message)


def _each(answer: list[T] | KeyFault, requests: Sequence[object]) -> list[T | KeyFault]:
    """One result for each request, whether the keyring could be asked or not."""
    if isinstance(answer, KeyFault):
        return [answer for _ in requests]
    return [*answer]
