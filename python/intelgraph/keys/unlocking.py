"""Where the passphrase or key file of a keyring comes from."""

import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from intelgraph._core import Unlock
from intelgraph.errors import FailedPrecondition
from intelgraph.keys.private_file import read_private, write_private

if TYPE_CHECKING:
    from intelgraph.keys.settings import KeySettings, LocalKeyringSettings

KEYRING: Final = "keyring.sealed"
KEY_FILE: Final = "keyring.key"
KEY_BYTES: Final = 32


def keyring_path(settings: "LocalKeyringSettings", directory: Path) -> Path:
    """The keyring; `directory` is where the gateway keeps its keys by default."""
    return settings.path or directory / KEYRING


def unlock_existing(settings: "LocalKeyringSettings", directory: Path) -> Unlock:
    """What opens a keyring that exists.

    Raises FailedPrecondition KEYRING_UNLOCK_MISSING, KEYRING_EXPOSED or KEYRING_PASSPHRASE_NOT_ASKED, and
    OSError.
    """
    if settings.passphrase_prompt:
        raise FailedPrecondition(
            "KEYRING_PASSPHRASE_NOT_ASKED",
            "the passphrase of the keyring was not asked for",
            fix="start the gateway from a terminal, or set keys.local.passphrase_file",
        )
    if settings.passphrase is not None:
        return Unlock.passphrase(settings.passphrase.get_secret_value().encode())
    if settings.passphrase_file is not None:
        passphrase = _read(settings.passphrase_file, "passphrase_file")
        return Unlock.passphrase(passphrase.removesuffix(b"\n").removesuffix(b"\r"))
    return Unlock.key_file(_read(settings.key_file or directory / KEY_FILE, "key_file"))


def unlock_new(settings: "LocalKeyringSettings", directory: Path) -> Unlock:
    """What opens a keyring that is about to be made: the default key file is made as well.

    Only that one is: a key file that the settings name is somebody's who keeps it apart. The caller holds
    `exclusive` of the keyring. Raises as `unlock_existing`.
    """
    key_file = directory / KEY_FILE
    named = (settings.key_file, settings.passphrase, settings.passphrase_file)
    if all(way is None for way in named) and not settings.passphrase_prompt and not key_file.exists():
        write_private(key_file, os.urandom(KEY_BYTES))
    return unlock_existing(settings, directory)


def with_passphrase_asked(settings: "KeySettings", directory: Path) -> "KeySettings":
    """The settings with the passphrase typed in, if they want it asked for; twice for a new keyring.

    To be called before worker processes are started, which have no terminal. Raises FailedPrecondition
    KEYRING_PASSPHRASE_NOT_ASKED or KEYRING_PASSPHRASE_DIFFERS.
    """
    local = settings.local
    if not local.passphrase_prompt:
        return settings
    if not sys.stdin.isatty():
        raise FailedPrecondition(
            "KEYRING_PASSPHRASE_NOT_ASKED",
            "the passphrase of the keyring cannot be asked for: there is no terminal",
            fix="start the gateway from a terminal, or set keys.local.passphrase_file",
        )
    path = keyring_path(local, directory)
    typed = getpass.getpass(f"Passphrase of {path}: ")
    if not path.exists() and getpass.getpass("Once more, for the new keyring: ") != typed:
        raise FailedPrecondition(
            "KEYRING_PASSPHRASE_DIFFERS",
            "the two passphrases are not the same",
            fix="start again and type the same passphrase twice",
        )
    update = {"passphrase": SecretStr(typed), "passphrase_prompt": False}
    return settings.model_copy(update={"local": local.model_copy(update=update)})


def _read(path: Path, setting: str) -> bytes:
    try:
        return read_private(path, group_may_read=True)
    except FileNotFoundError:
        raise FailedPrecondition(
            "KEYRING_UNLOCK_MISSING",
            f"{path} does not exist, and the keyring is unlocked by it",
            fix=f"put the file back, or set keys.local.{setting} to where it is",
        ) from None
