"""A disk that can be filled."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A disk of its own, mounted at `place`, that holds a fresh server and not much more."""
    place.mkdir(mode=0o700)
    command = ["/bin/mount", "-t", "tmpfs", "-o", "size=200m,mode=700", "none", str(place)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a disk that can be filled takes the right to mount one")
    try:
        yield place
    finally:
        subprocess.run(["/bin/umount", "--lazy", str(place)], check=True)
