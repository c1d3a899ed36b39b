"""CPU time and memory of processes other than our own."""

import contextlib

import psutil


def tree_cpu_s(pid: int, *, without: int | None = None) -> float:
    """CPU time (user + system) in seconds that a process and all its living descendants have used so far, but for
    those that are `without` or descend from it.

    Differences are right while no descendant ends in between: what an ended process used is forgotten.

    Raises:
        psutil.NoSuchProcess: if `pid` itself is gone.
    """
    total = _cpu_s(psutil.Process(pid))
    for process in _beneath(pid, without):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += _cpu_s(process)
    return total


def tree_resident_bytes(pid: int, *, without: int | None = None) -> int:
    """Resident size now of the same processes.

    Raises:
        psutil.NoSuchProcess: if `pid` itself is gone.
    """
    total = int(psutil.Process(pid).memory_info().rss)
    for process in _beneath(pid, without):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += int(process.memory_info().rss)
    return total


def _beneath(pid: int, without: int | None) -> list[psutil.Process]:
    below = psutil.Process(pid).children(recursive=True)
    if without is None:
        return below
    left_out = {without, *(process.pid for process in psutil.Process(without).children(recursive=True))}
    return [process for process in below if process.pid not in left_out]


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
