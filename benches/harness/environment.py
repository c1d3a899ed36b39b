"""What a figure was measured on."""

import datetime
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Environment:
    """The machine and the software, as recorded beside every figure.

    Attributes:
        date: start of the measurement, UTC, RFC 3339.
        cpu: model name of the processor.
        cores: number of logical cores that this process may use.
        memory_bytes: installed memory.
        load_average: runnable processes, mean over the minute before the measurement.
        versions: name of each part to its version.
    """

    date: str
    cpu: str
    cores: int
    memory_bytes: int
    kernel: str
    load_average: float
    versions: dict[str, str]

    def as_json(self) -> dict[str, object]:
        """The attributes by name."""
        return asdict(self)


def observe(distributions: Sequence[str]) -> Environment:
    """Describes this machine now, with the versions of the named Python distributions that are installed."""
    return Environment(
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=psutil.virtual_memory().total,
        kernel=f"{platform.system()} {platform.release()}",
        load_average=os.getloadavg()[0],
        versions={"python": platform.python_version(), **_installed(distributions)},
    )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _installed(distributions: Sequence[str]) -> dict[str, str]:
    wanted = set(distributions)
    present = (found for found in metadata.distributions() if found.name in wanted)
    return dict(sorted((found.name, found.version) for found in present))
