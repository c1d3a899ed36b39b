"""The data directory before anything is done in it: the gateway's account can write it, and others cannot look."""

import os
from pathlib import Path

from intelgraph.gateway.settings import ConfigurationError, WrongSetting


def ensure_data_directory(data_dir: Path) -> None:
    """Makes the directory if there is none. Raises ConfigurationError as `check_data_directory`."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(data_dir, error) from error
    check_data_directory(data_dir)


def check_data_directory(data_dir: Path) -> None:
    """Raises ConfigurationError if it cannot be written or made, or others may look into it."""
    place = data_dir.absolute()
    try:
        while not place.exists():
            place = place.parent
        status = place.stat()
    except OSError as error:
        raise _unusable(data_dir, error) from error
    if not place.is_dir():
        raise _wrong(f"{place} is not a directory: name one")
    if place == data_dir.absolute():
        if status.st_mode & 0o077:
            raise _wrong(f"others may look into {data_dir}: run `chmod 700 {data_dir}`")
        if status.st_uid != os.geteuid():
            raise _wrong(f"{data_dir} belongs to another account: run the gateway as that account")
    if not os.access(place, os.W_OK | os.X_OK):
        raise _wrong(f"{place} cannot be written: name a writable directory")


def _unusable(data_dir: Path, error: OSError) -> ConfigurationError:
    return _wrong(f"{data_dir} cannot be used ({error.strerror}): name a writable directory")


def _wrong(problem: str) -> ConfigurationError:
    return ConfigurationError((WrongSetting("data_dir", problem),))
