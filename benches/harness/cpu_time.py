"""CPU time of processes other than our own."""

import contextlib

import psutil


def tree_cpu_s(pid: int) -> float:
    """CPU time (user + system) in seconds that a process and all its living descendants have used so far.

    Differences are right while no descendant ends in between: what an ended process used is forgotten.

    Raises:
        psutil.NoSuchProcess: if `pid` itself is gone.
    """
    root = psutil.Process(pid)
    total = _cpu_s(root)
    for child in root.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += _cpu_s(child)
    return total


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
